// Reduction of scores over the queries of a group, and top-K without a full sort.
#define REDUCE_MAX 1
#define REDUCE_SUM 2
#define REDUCE_MEAN 3
#define REDUCE_LANES 128

// scores[0][r] becomes the maximum, sum or mean of scores[q][r] over q. A NaN of any query makes the row NaN.
KERNEL void kv_reduce(GLOBAL u8* scratch, u64 scoresAt, i32 queries, i32 rows, i32 kind)
{
    i32 row = GROUP_ID * REDUCE_LANES + LANE;
    GLOBAL float* scores = (GLOBAL float*)(scratch + scoresAt);
    if (row >= rows) return;
    float value = scores[row];
    for (i32 q = 1; q < queries; q++)
    {
        float next = scores[(u64)q * rows + row];
        if (kind != REDUCE_MAX) value += next;
        else if (next > value || next != next) value = next;
    }

    scores[row] = kind == REDUCE_MEAN ? value / (float)queries : value;
}

#define SELECT_LANES 256
#define DIGITS 256

typedef struct
{
    i32 first;
    i32 count;
} ScoreList;

// An unsigned number that orders as the float does; 0 for NaN, below all others. The two zeros are equal.
FUNCTION u32 order_of(float score)
{
    u32 bits = AS_UINT(score);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0;
    if (bits == 0x80000000u) bits = 0;
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// Score first, then the lower index: no two elements of a list are equal, so the K best are a matter of one threshold.
FUNCTION u64 key_of(float score, i32 index)
{
    return ((u64)order_of(score) << 32) | (u64)(0xffffffffu - (u32)index);
}

// One group takes a list. Radix select finds the threshold a digit at a time, the digits of the index only when scores tie at it;
// what lies at or above it is collected and sorted, best first. keys[list][0 .. pitch) holds the answer, 0 where there is none.
KERNEL void kv_topk(GLOBAL u8* scratch, u64 scoresAt, u64 listsAt, u64 keysAt, i32 k, i32 pitch)
{
    LOCAL u32 histogram[DIGITS];
    LOCAL u32 found[4];
    i32 lane = LANE;
    ScoreList list = ((GLOBAL const ScoreList*)(scratch + listsAt))[GROUP_ID];
    GLOBAL const float* scores = (GLOBAL const float*)(scratch + scoresAt) + list.first;
    GLOBAL u64* keys = (GLOBAL u64*)(scratch + keysAt) + (u64)GROUP_ID * pitch;
    u64 threshold = 0;
    u32 wanted = (u32)k;
    u32 chosen = 0;
    i32 shift = 64;
    i32 open = 1;
    while (open)
    {
        shift -= 8;
        histogram[lane] = 0;
        BARRIER;
        for (i32 i = lane; i < list.count; i += SELECT_LANES)
        {
            u64 key = key_of(scores[i], i);
            if ((key >> 32) != 0 && (shift == 56 || (key >> (shift + 8)) == threshold))
                ATOMIC_ADD(&histogram[(u32)(key >> shift) & 0xff], 1u);
        }

        BARRIER;
        if (lane == 0)
        {
            if (shift == 56)
            {
                u32 numbers = 0;
                for (i32 d = 0; d < DIGITS; d++) numbers += histogram[d];
                if (wanted > numbers) wanted = numbers;
                found[3] = wanted;
            }

            i32 digit = DIGITS - 1;
            while (digit > 0 && histogram[digit] < wanted) wanted -= histogram[digit--];
            found[0] = (u32)digit;
            found[1] = wanted;
            found[2] = histogram[digit];
        }

        BARRIER;
        threshold = (threshold << 8) | found[0];
        wanted = found[1];
        chosen = found[3];
        open = shift > 0 && wanted != found[2] && chosen > 0;
        BARRIER;
    }

    if (lane == 0) found[0] = 0;
    BARRIER;
    for (i32 i = lane; i < list.count && chosen > 0; i += SELECT_LANES)
    {
        u64 key = key_of(scores[i], i);
        if ((key >> 32) != 0 && (key >> shift) >= threshold) keys[ATOMIC_ADD(&found[0], 1u)] = key;
    }

    for (i32 i = (i32)chosen + lane; i < pitch; i += SELECT_LANES) keys[i] = 0;
    // Bitonic sort, descending; the pitch is a power of two.
    for (i32 run = 2; run <= pitch; run <<= 1)
    {
        for (i32 step = run >> 1; step > 0; step >>= 1)
        {
            BARRIER;
            for (i32 i = lane; i < pitch / 2; i += SELECT_LANES)
            {
                i32 low = (i / step) * step * 2 + i % step;
                u64 a = keys[low];
                u64 b = keys[low + step];
                i32 descending = (low & run) == 0;
                if (descending ? a < b : a > b)
                {
                    keys[low] = b;
                    keys[low + step] = a;
                }
            }
        }
    }
}
