using System.Diagnostics.CodeAnalysis;

namespace KvTier;

/// <summary>A value or a <see cref="KvError"/>.</summary>
/// <typeparam name="T">Type of the value.</typeparam>
public readonly struct Result<T>
{
    private readonly T? value;

    private Result(T? value, KvError? error)
    {
        this.value = value;
        Error = error;
    }

    /// <summary>The error; null when there is a value.</summary>
    public KvError? Error { get; }

    /// <summary>True when there is a value.</summary>
    public bool IsOk => Error is null;

    /// <summary>The value.</summary>
    /// <exception cref="KvException">There is an error instead.</exception>
    public T Value => Error is null ? value! : throw new KvException(Error);

    /// <summary>Takes the value or the error.</summary>
    /// <returns>True with the value; false with the error.</returns>
    public bool TryGet([MaybeNullWhen(false)] out T result, [NotNullWhen(false)] out KvError? error)
    {
        result = value;
        error = Error;
        return error is null;
    }

    /// <summary>A value.</summary>
    public static implicit operator Result<T>(T value) => new(value, null);

    /// <summary>An error.</summary>
    public static implicit operator Result<T>(KvError error) => new(default, error);
}
