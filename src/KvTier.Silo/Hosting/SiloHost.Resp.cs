namespace KvTier.Silo;

/// <content>The RESP2 listener's place in the silo.</content>
public sealed partial class SiloHost
{
    private KvError? StartResp() => new(ErrorCode.Unsupported, "resp.enabled", "true", "false in this build");
}
