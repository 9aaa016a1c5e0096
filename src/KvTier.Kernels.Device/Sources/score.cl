// scores[q][r] = sum over j of queries[q][j] * rows[r][j], times the row's scale. One group takes a tile of 64 rows that share their
// queries, one lane a row; the tile is decoded into local memory slice by slice, once for eight queries.
#define TILE_ROWS 64
#define TILE_PITCH 65
#define SLICE 32
#define QUERY_BLOCK 8

// Rows one after another in the arena; scaleAt is NO_SCALE or where their fp32 scales lie.
typedef struct
{
    u64 at;
    u64 scaleAt;
    i32 firstRow;
    i32 rows;
} RowRange;

// A tile may reach over several ranges, beginning with firstRange.
typedef struct
{
    i32 firstRow;
    i32 rows;
    i32 firstRange;
    i32 firstQuery;
} ScoreTile;

KERNEL void kv_score(
    GLOBAL const u8* arena, GLOBAL u8* scratch, u64 queriesAt, u64 rangesAt, u64 tilesAt, u64 scoresAt,
    i32 rowLength, i32 queries, i32 rows)
{
    LOCAL float tile[SLICE * TILE_PITCH];
    LOCAL float query[QUERY_BLOCK * SLICE];
    LOCAL u64 rowAt[TILE_ROWS];
    i32 lane = LANE;
    ScoreTile mine = ((GLOBAL const ScoreTile*)(scratch + tilesAt))[GROUP_ID];
    GLOBAL const float* queryRows = (GLOBAL const float*)(scratch + queriesAt) + (u64)mine.firstQuery * rowLength;
    GLOBAL float* scores = (GLOBAL float*)(scratch + scoresAt);
    float scale = 1.0f;
    if (lane < mine.rows)
    {
        GLOBAL const RowRange* range = (GLOBAL const RowRange*)(scratch + rangesAt) + mine.firstRange;
        i32 row = mine.firstRow + lane;
        while (row >= range->firstRow + range->rows) range++;
        u64 place = (u64)(row - range->firstRow);
        rowAt[lane] = range->at + place * (u64)rowLength * ELEMENT_BYTES;
        if (range->scaleAt != NO_SCALE) scale = ((GLOBAL const float*)(arena + range->scaleAt))[place];
    }

    for (i32 block = 0; block < queries; block += QUERY_BLOCK)
    {
        float sums[QUERY_BLOCK];
        for (i32 q = 0; q < QUERY_BLOCK; q++) sums[q] = 0.0f;
        for (i32 slice = 0; slice < rowLength; slice += SLICE)
        {
            BARRIER;
            for (i32 i = lane; i < TILE_ROWS * (SLICE / 4); i += TILE_ROWS)
            {
                i32 row = i / (SLICE / 4);
                i32 column = i % (SLICE / 4) * 4;
                float four[4] = {0.0f, 0.0f, 0.0f, 0.0f};
                if (row < mine.rows && slice + column < rowLength) load4(arena + rowAt[row] + (u64)(slice + column) * ELEMENT_BYTES, four);
                for (i32 c = 0; c < 4; c++) tile[(column + c) * TILE_PITCH + row] = four[c];
            }

            for (i32 i = lane; i < QUERY_BLOCK * SLICE; i += TILE_ROWS)
            {
                i32 q = block + i % QUERY_BLOCK;
                i32 column = slice + i / QUERY_BLOCK;
                query[i] = q < queries && column < rowLength ? queryRows[(u64)q * rowLength + column] : 0.0f;
            }

            BARRIER;
            float part[QUERY_BLOCK];
            for (i32 q = 0; q < QUERY_BLOCK; q++) part[q] = sums[q];
            for (i32 j = 0; j < SLICE; j++)
            {
                float element = tile[j * TILE_PITCH + lane];
                for (i32 q = 0; q < QUERY_BLOCK; q++) part[q] += query[j * QUERY_BLOCK + q] * element;
            }

            for (i32 q = 0; q < QUERY_BLOCK; q++) sums[q] = part[q];
        }

        if (lane < mine.rows)
        {
            for (i32 q = 0; q < QUERY_BLOCK; q++)
            {
                if (block + q < queries) scores[(u64)(block + q) * rows + mine.firstRow + lane] = sums[q] * scale;
            }
        }
    }
}
