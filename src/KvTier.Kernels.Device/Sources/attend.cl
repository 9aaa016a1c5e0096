// Partial attention of up to eight query heads of one KV head over one split: a run of tokens of a list of chunks. Keys and values pass
// through local memory in tiles of 32 tokens; softmax runs along (m, l), as in flash attention.
#define TILE_TOKENS 32
#define QUERY_BLOCK 8
#define LANES 128

// (query, dim) pairs that a lane owns at most: 8 queries x 256 dims / 128 lanes.
#define OWNED 16

// Tokens one after another: keys at keyAt, values at valueAt, a row each; fp32 scales a token, or NO_SCALE.
typedef struct
{
    u64 keyAt;
    u64 valueAt;
    u64 keyScaleAt;
    u64 valueScaleAt;
    i32 firstToken;
    i32 tokens;
} Chunk;

// Tokens are counted along the chunks of their group, so that a split may begin inside a chunk.
typedef struct
{
    i32 firstToken;
    i32 tokens;
    i32 firstChunk;
    i32 firstQuery;
    i32 queries;
    i32 unused;
} Split;

KERNEL void kv_attend(
    GLOBAL const u8* arena, GLOBAL u8* scratch, u64 queriesAt, u64 chunksAt, u64 splitsAt, u64 partsAt, u64 lsesAt, i32 dims, float scale
    LOCAL_PARAMETER(block))
{
    LOCAL_DECLARATION(block)
    LOCAL u64 keyAt[TILE_TOKENS];
    LOCAL u64 valueAt[TILE_TOKENS];
    LOCAL float keyScale[TILE_TOKENS];
    LOCAL float valueScale[TILE_TOKENS];
    LOCAL float weight[QUERY_BLOCK * TILE_TOKENS];
    LOCAL float top[QUERY_BLOCK];
    LOCAL float mass[QUERY_BLOCK];
    LOCAL float decay[QUERY_BLOCK];
    LOCAL_POINTER float* query = block;
    i32 pitch = dims + 1;
    i32 quads = dims / 4;
    i32 lane = LANE;
    Split split = ((GLOBAL const Split*)(scratch + splitsAt))[GROUP_ID];
    LOCAL_POINTER float* tile = query + split.queries * dims;
    GLOBAL const float* queryRows = (GLOBAL const float*)(scratch + queriesAt) + (u64)split.firstQuery * dims;
    GLOBAL const Chunk* chunk = (GLOBAL const Chunk*)(scratch + chunksAt) + split.firstChunk;
    for (i32 i = lane; i < split.queries * dims; i += LANES) query[i] = queryRows[i] * scale;
    if (lane < QUERY_BLOCK)
    {
        top[lane] = NEGATIVE_INFINITY;
        mass[lane] = 0.0f;
    }

    float sums[OWNED];
    for (i32 o = 0; o < OWNED; o++) sums[o] = 0.0f;
    for (i32 first = 0; first < split.tokens; first += TILE_TOKENS)
    {
        i32 tokens = split.tokens - first < TILE_TOKENS ? split.tokens - first : TILE_TOKENS;
        BARRIER;
        if (lane < tokens)
        {
            i32 token = split.firstToken + first + lane;
            while (token >= chunk->firstToken + chunk->tokens) chunk++;
            u64 place = (u64)(token - chunk->firstToken);
            keyAt[lane] = chunk->keyAt + place * (u64)dims * ELEMENT_BYTES;
            valueAt[lane] = chunk->valueAt + place * (u64)dims * ELEMENT_BYTES;
            keyScale[lane] = chunk->keyScaleAt == NO_SCALE ? 1.0f : ((GLOBAL const float*)(arena + chunk->keyScaleAt))[place];
            valueScale[lane] = chunk->valueScaleAt == NO_SCALE ? 1.0f : ((GLOBAL const float*)(arena + chunk->valueScaleAt))[place];
        }

        BARRIER;
        for (i32 i = lane; i < tokens * quads; i += LANES)
        {
            float four[4];
            load4(arena + keyAt[i / quads] + (u64)(i % quads * 4) * ELEMENT_BYTES, four);
            for (i32 c = 0; c < 4; c++) tile[i / quads * pitch + i % quads * 4 + c] = four[c];
        }

        BARRIER;
        for (i32 i = lane; i < split.queries * TILE_TOKENS; i += LANES)
        {
            i32 token = i % TILE_TOKENS;
            if (token >= tokens) continue;
            LOCAL_POINTER const float* left = query + i / TILE_TOKENS * dims;
            LOCAL_POINTER const float* right = tile + token * pitch;
            float sum = 0.0f;
            for (i32 d = 0; d < dims; d++) sum += left[d] * right[d];
            weight[i] = sum * keyScale[token];
        }

        BARRIER;
        if (lane < split.queries)
        {
            LOCAL_POINTER float* mine = weight + lane * TILE_TOKENS;
            float before = top[lane];
            float best = before;
            for (i32 t = 0; t < tokens; t++) best = mine[t] > best ? mine[t] : best;
            // With nothing but -inf so far there is no mass, and exp(-inf - -inf) would be NaN.
            float shrink = before == NEGATIVE_INFINITY ? 0.0f : EXP(before - best);
            float sum = mass[lane] * shrink;
            for (i32 t = 0; t < tokens; t++)
            {
                float e = mine[t] == NEGATIVE_INFINITY ? 0.0f : EXP(mine[t] - best);
                sum += e;
                mine[t] = e * valueScale[t];
            }

            top[lane] = best;
            mass[lane] = sum;
            decay[lane] = shrink;
        }

        for (i32 i = lane; i < tokens * quads; i += LANES)
        {
            float four[4];
            load4(arena + valueAt[i / quads] + (u64)(i % quads * 4) * ELEMENT_BYTES, four);
            for (i32 c = 0; c < 4; c++) tile[i / quads * pitch + i % quads * 4 + c] = four[c];
        }

        BARRIER;
        for (i32 o = 0; o < OWNED; o++)
        {
            i32 i = lane + o * LANES;
            if (i >= split.queries * dims) continue;
            i32 q = i / dims;
            float sum = sums[o] * decay[q];
            for (i32 t = 0; t < tokens; t++) sum += weight[q * TILE_TOKENS + t] * tile[t * pitch + i % dims];
            sums[o] = sum;
        }
    }

    BARRIER;
    GLOBAL float* parts = (GLOBAL float*)(scratch + partsAt) + (u64)GROUP_ID * QUERY_BLOCK * dims;
    GLOBAL float* lses = (GLOBAL float*)(scratch + lsesAt) + (u64)GROUP_ID * QUERY_BLOCK;
    for (i32 o = 0; o < OWNED; o++)
    {
        i32 i = lane + o * LANES;
        if (i < split.queries * dims) parts[i] = mass[i / dims] == 0.0f ? 0.0f : sums[o] / mass[i / dims];
    }

    if (lane < split.queries) lses[lane] = mass[lane] == 0.0f ? NEGATIVE_INFINITY : top[lane] + LOG(mass[lane]);
}
