// What the kernels ask of CUDA C, in the words that OpenCL C answers to as well. Needs no header: NVRTC may come without any.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;

#define KERNEL extern "C" __global__
#define GLOBAL
#define LOCAL __shared__
#define LOCAL_POINTER
#define FUNCTION static __device__ inline
#define GROUP_ID ((i32)blockIdx.x)
#define LANE ((i32)threadIdx.x)
#define BARRIER __syncthreads()
#define ATOMIC_ADD(counter, value) atomicAdd(counter, value)

// Local memory whose size the launch gives: a declaration here, a parameter in OpenCL.
#define LOCAL_PARAMETER(name)
#define LOCAL_DECLARATION(name) extern __shared__ float name[];

#define AS_FLOAT(bits) __uint_as_float(bits)
#define AS_UINT(number) __float_as_uint(number)
#define EXP(x) expf(x)
#define LOG(x) logf(x)
#define NEGATIVE_INFINITY __uint_as_float(0xff800000u)

FUNCTION float half_bits(u16 bits)
{
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

FUNCTION void load4_half(GLOBAL const u8* at, float* to)
{
    u64 four = *(GLOBAL const u64*)at;
    for (i32 i = 0; i < 4; i++) to[i] = half_bits((u16)(four >> (16 * i)));
}
