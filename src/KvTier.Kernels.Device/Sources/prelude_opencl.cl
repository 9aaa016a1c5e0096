// What the kernels ask of OpenCL C 1.2, in the words that CUDA C answers to as well.
typedef uchar u8;
typedef ushort u16;
typedef uint u32;
typedef ulong u64;
typedef int i32;

#define KERNEL __kernel
#define GLOBAL __global
#define LOCAL __local
#define LOCAL_POINTER __local
#define FUNCTION static inline
#define GROUP_ID ((i32)get_group_id(0))
#define LANE ((i32)get_local_id(0))
#define BARRIER barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define ATOMIC_ADD(counter, value) atomic_add(counter, value)

// Local memory whose size the launch gives: a parameter here, a declaration in CUDA.
#define LOCAL_PARAMETER(name) , __local float* name
#define LOCAL_DECLARATION(name)

#define AS_FLOAT(bits) as_float(bits)
#define AS_UINT(number) as_uint(number)
#define EXP(x) exp(x)
#define LOG(x) log(x)
#define NEGATIVE_INFINITY (-INFINITY)

// vload_half is in the core language, cl_khr_fp16 or not.
FUNCTION void load4_half(GLOBAL const u8* at, float* to)
{
    float4 v = vload_half4(0, (GLOBAL const half*)at);
    to[0] = v.x;
    to[1] = v.y;
    to[2] = v.z;
    to[3] = v.w;
}
