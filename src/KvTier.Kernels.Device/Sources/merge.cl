// Merges the parts of a query's splits: M = max lse, w = e^(lse - M), o = sum of w * o / sum of w, lse = M + ln(sum of w).
#define QUERY_BLOCK 8
#define MERGE_LANES 64

// The parts of splits firstSplit to firstSplit + splits - 1, each at the place that the query has in its block of eight.
typedef struct
{
    i32 firstSplit;
    i32 splits;
    i32 place;
    i32 unused;
} Merge;

KERNEL void kv_merge(GLOBAL u8* scratch, u64 mergesAt, u64 partsAt, u64 lsesAt, u64 outputsAt, u64 outputLsesAt, i32 dims)
{
    Merge merge = ((GLOBAL const Merge*)(scratch + mergesAt))[GROUP_ID];
    GLOBAL const float* lses = (GLOBAL const float*)(scratch + lsesAt) + (u64)merge.firstSplit * QUERY_BLOCK + merge.place;
    GLOBAL const float* parts = (GLOBAL const float*)(scratch + partsAt) + ((u64)merge.firstSplit * QUERY_BLOCK + merge.place) * dims;
    GLOBAL float* output = (GLOBAL float*)(scratch + outputsAt) + (u64)GROUP_ID * dims;
    float best = NEGATIVE_INFINITY;
    for (i32 s = 0; s < merge.splits; s++)
    {
        float lse = lses[s * QUERY_BLOCK];
        // A NaN stays, so that it shows in the result.
        if (lse > best || lse != lse) best = lse;
    }

    float mass = 0.0f;
    for (i32 s = 0; s < merge.splits && best != NEGATIVE_INFINITY; s++) mass += EXP(lses[s * QUERY_BLOCK] - best);
    for (i32 d = LANE; d < dims; d += MERGE_LANES)
    {
        float sum = 0.0f;
        for (i32 s = 0; s < merge.splits && best != NEGATIVE_INFINITY; s++)
            sum += EXP(lses[s * QUERY_BLOCK] - best) * parts[(u64)s * QUERY_BLOCK * dims + d];
        output[d] = best == NEGATIVE_INFINITY ? 0.0f : sum / mass;
    }

    if (LANE == 0) ((GLOBAL float*)(scratch + outputLsesAt))[GROUP_ID] = best == NEGATIVE_INFINITY ? best : best + LOG(mass);
}
