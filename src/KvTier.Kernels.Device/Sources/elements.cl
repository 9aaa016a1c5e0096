// Four stored elements as fp32. KV_DTYPE is the number that the dtype has in KvTier.Dtype.
#define DTYPE_FLOAT32 1
#define DTYPE_FLOAT16 2
#define DTYPE_BFLOAT16 3
#define DTYPE_FLOAT8_E4M3 4
#define DTYPE_FLOAT8_E5M2 5
#define DTYPE_INT8 6

#define NO_SCALE 0xffffffffffffffffUL

#if KV_DTYPE == DTYPE_FLOAT32
#define ELEMENT_BYTES 4
#elif KV_DTYPE == DTYPE_FLOAT16 || KV_DTYPE == DTYPE_BFLOAT16
#define ELEMENT_BYTES 2
#elif KV_DTYPE == DTYPE_FLOAT8_E4M3 || KV_DTYPE == DTYPE_FLOAT8_E5M2 || KV_DTYPE == DTYPE_INT8
#define ELEMENT_BYTES 1
#else
#error KV_DTYPE is none of these
#endif

// OCP E4M3: bias 7, no infinity, NaN where all seven bits are set. Subnormals are made by hand, for devices that flush those of fp32.
FUNCTION float e4m3_bits(u32 bits)
{
    u32 magnitude = bits & 0x7f;
    float value = magnitude < 8 ? (float)magnitude * (1.0f / 512.0f) : AS_FLOAT((magnitude << 20) + (120u << 23));
    if (magnitude == 0x7f) value = AS_FLOAT(0x7fc00000u);
    return bits & 0x80 ? -value : value;
}

// OCP E5M2: the upper byte of a binary16.
FUNCTION float e5m2_bits(u32 bits)
{
    u32 magnitude = bits & 0x7f;
    float value = magnitude < 4 ? (float)magnitude * (1.0f / 65536.0f) : AS_FLOAT((magnitude << 21) + (112u << 23));
    if (magnitude >= 0x7c) value = AS_FLOAT(magnitude == 0x7c ? 0x7f800000u : 0x7fc00000u);
    return bits & 0x80 ? -value : value;
}

// The address is a multiple of four elements.
FUNCTION void load4(GLOBAL const u8* at, float* to)
{
#if KV_DTYPE == DTYPE_FLOAT32
    u64 low = ((GLOBAL const u64*)at)[0];
    u64 high = ((GLOBAL const u64*)at)[1];
    to[0] = AS_FLOAT((u32)low);
    to[1] = AS_FLOAT((u32)(low >> 32));
    to[2] = AS_FLOAT((u32)high);
    to[3] = AS_FLOAT((u32)(high >> 32));
#elif KV_DTYPE == DTYPE_FLOAT16
    load4_half(at, to);
#elif KV_DTYPE == DTYPE_BFLOAT16
    u64 four = *(GLOBAL const u64*)at;
    for (i32 i = 0; i < 4; i++) to[i] = AS_FLOAT((u32)(four >> (16 * i)) << 16);
#else
    u32 four = *(GLOBAL const u32*)at;
    for (i32 i = 0; i < 4; i++)
    {
        u32 bits = (four >> (8 * i)) & 0xff;
#if KV_DTYPE == DTYPE_FLOAT8_E4M3
        to[i] = e4m3_bits(bits);
#elif KV_DTYPE == DTYPE_FLOAT8_E5M2
        to[i] = e5m2_bits(bits);
#else
        to[i] = (float)((i32)(bits ^ 0x80) - 128);
#endif
    }
#endif
}
