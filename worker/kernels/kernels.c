/* Four loops over the pixels of a picture for which NumPy, Pillow and OpenCV have no quick call. Each gives, to the last
 * bit, what the Python does that runs where this is not built: see the files beside it, which call it.
 *
 * It keeps nothing, asks for no memory and knows nothing of Python: callers bring every array.
 */

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || __SIZEOF_LONG__ < 8
#error "bytes are taken out of numbers as 64-bit little-endian machines keep them: Python does it here"
#endif

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLED __builtin_shufflevector
#define SSE4 "arch=x86-64-v2"
#define AVX2 "arch=x86-64-v3"
#define AVX512 "arch=x86-64-v4"
#else
#define SHUFFLED(one, other, ...) __builtin_shuffle(one, other, (bytes){__VA_ARGS__})
#define SSE4 "sse4.2"
#define AVX2 "avx2"
#define AVX512 "avx512f"
#endif

/* A copy for each kind of processor that gains by it; which one is called glibc finds out when this is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
#define ALSO_FOR(...) __attribute__((target_clones(__VA_ARGS__, "default")))
#else
#define ALSO_FOR(...)
#endif
#define INLINE static inline __attribute__((always_inline))

/* CRC-32 of this file without the next line: `library.py` expects it, and a test holds both to it. */
#define SOURCE 0xaf06fa43u

enum { BITS = 22, TAPS = 5, WEIGHTS = TAPS + 1, RING = 8, SPARE = 64, MOST_CLASSES = 256, LANES = 16 };

typedef int32_t four_ints __attribute__((vector_size(16)));
typedef uint8_t bytes __attribute__((vector_size(16)));

uint32_t maskmill_kernels(void) { return SOURCE; }

/* ---- Picture to tensor. Source of the arithmetic: Pillow's `Resample.c`, 8 bits a channel: weights are whole numbers of
 * BITS bits, and the sum is rounded to a byte after each of the two passes. Weights are never negative and sum to 1, so
 * that nothing has to be cut off. */

/* Three bytes, each as a number, and nothing. Reads 16 bytes. */
INLINE four_ints pixel_at(const uint8_t *place) {
    bytes read, none = {0};
    memcpy(&read, place, 16);
    return (four_ints)SHUFFLED(read, none, 0, 16, 16, 16, 1, 16, 16, 16, 2, 16, 16, 16, 16, 16, 16, 16);
}

/* How many weights of each of `count` pixels there are before the rest, which are 0. */
INLINE int taps_of(const int32_t *weights, long count) {
    int32_t fourth = 0, fifth = 0;
    for (long at = 0; at < count; at++, weights += WEIGHTS) {
        fourth |= weights[4];
        fifth |= weights[5];
    }
    return fifth ? 5 : fourth ? 4 : 3;
}

/* row: SPARE bytes longer than its pixels, as is `out`. weights: WEIGHTS of each column of `out`. */
INLINE void across(int taps, const uint8_t *row, const int32_t *weights, long width, uint8_t *out) {
    for (long x = 0; x < width; x++, weights += WEIGHTS, out += 3) {
        const uint8_t *place = row + 3 * (long)weights[0];
        four_ints sum = {1 << (BITS - 1), 1 << (BITS - 1), 1 << (BITS - 1), 0};
#pragma GCC unroll 5
        for (int tap = 0; tap < taps; tap++)
            sum += pixel_at(place + 3 * tap) * weights[1 + tap];
        bytes rounded = (bytes)(sum >> BITS);
        rounded = SHUFFLED(rounded, rounded, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
        memcpy(out, &rounded, 4);
    }
}

INLINE void down(int taps, const uint8_t *const *rows, const int32_t *weights, long count, uint8_t *out) {
    for (long at = 0; at < count; at++) {
        int32_t sum = 1 << (BITS - 1);
#pragma GCC unroll 5
        for (int tap = 0; tap < taps; tap++)
            sum += rows[tap][at] * weights[1 + tap];
        out[at] = (uint8_t)(sum >> BITS);
    }
}

/* `way` with its first argument known when it is compiled. */
#define BY_TAPS(way, taps, ...)                                                                                        \
    do {                                                                                                               \
        if (taps == 3)                                                                                                 \
            way(3, __VA_ARGS__);                                                                                       \
        else if (taps == 4)                                                                                            \
            way(4, __VA_ARGS__);                                                                                       \
        else                                                                                                           \
            way(5, __VA_ARGS__);                                                                                       \
    } while (0)

/* rgb: rows × columns × 3 bytes. columns_of, rows_of: of each column and row of the tensor the first one of the picture
 * that counts, and the weights of TAPS from there on; NULL where that side stays. tables: 3 × 256, what becomes of a value
 * of each channel. room: (RING + 1) * (3 * width + SPARE) + 3 * columns + SPARE bytes. tensor: 3 × height × width. */
ALSO_FOR(SSE4, AVX2)
void maskmill_network_input(const uint8_t *rgb, long columns, const int32_t *columns_of, const int32_t *rows_of, long height,
                            long width, const float *tables, uint8_t *room, float *tensor) {
    long pitch = 3 * width + SPARE, done = 0;
    int columns_taps = columns_of ? taps_of(columns_of, width) : 0, rows_taps = rows_of ? taps_of(rows_of, height) : 1;
    uint8_t *mixed = room + RING * pitch, *copy = mixed + pitch;
    for (long y = 0; y < height; y++) {
        long first = rows_of ? rows_of[y * WEIGHTS] : y, end = first + rows_taps;
        const uint8_t *rows[TAPS] = {0}, *line = mixed;
        for (done = first > done ? first : done; done < end; done++) {
            const uint8_t *row = rgb + 3 * columns * done;
            uint8_t *narrow = room + (done % RING) * pitch;
            memcpy(columns_of ? copy : narrow, row, (size_t)(3 * columns));
            if (columns_of)
                BY_TAPS(across, columns_taps, copy, columns_of, width, narrow);
        }
        for (int tap = 0; tap < rows_taps; tap++)
            rows[tap] = room + ((first + tap) % RING) * pitch;
        if (rows_of)
            BY_TAPS(down, rows_taps, rows, rows_of + y * WEIGHTS, 3 * width, mixed);
        else
            line = rows[0];
        for (int channel = 0; channel < 3; channel++) {
            float *values = tensor + (channel * height + y) * width;
            const float *table = tables + 256 * channel;
            for (long x = 0; x < width; x++)
                values[x] = table[line[3 * x + channel]];
        }
    }
}

/* ---- Logits to class ids: between four neighbouring values of each class there is a cell of pixels. A class cannot win
 * in it whose largest value there is below another's smallest: in most cells one is left, and nothing is computed. */

typedef struct {
    const float *share; /* of the pixels on this axis, of the value after them */
    long first, count;
} Span;

/* Bilinear, class by class against the first: what a class has more than it, from left to right and from top to bottom.
 * corners: the four values of each rival. */
INLINE void disputed(const float (*corners)[4], const int32_t *rivals, int count, Span across, Span down, uint8_t *ids,
                     long pitch) {
    float above[MOST_CLASSES][LANES], fall[MOST_CLASSES][LANES];
    for (long from = 0; from < across.count; from += LANES) {
        const float *right = across.share + across.first + from;
        size_t some = (size_t)(across.count - from < LANES ? across.count - from : LANES);
        for (int rank = 1; rank < count; rank++) {
            float first = corners[rank][0] - corners[0][0], after = corners[rank][1] - corners[0][1];
            float below = corners[rank][2] - corners[0][2], beside = corners[rank][3] - corners[0][3];
            float step = after - first, lower_step = beside - below;
            for (int lane = 0; lane < LANES; lane++) {
                above[rank][lane] = right[lane] * step + first;
                fall[rank][lane] = right[lane] * lower_step + below - above[rank][lane];
            }
        }
        for (long y = 0; y < down.count; y++) {
            float lower = down.share[down.first + y], lead[LANES] = {0};
            int32_t winner[LANES];
            uint8_t found[LANES];
            for (int lane = 0; lane < LANES; lane++)
                winner[lane] = rivals[0];
            for (int rank = 1; rank < count; rank++)
                for (int lane = 0; lane < LANES; lane++) {
                    float gain = fall[rank][lane] * lower + above[rank][lane];
                    winner[lane] = gain > lead[lane] ? rivals[rank] : winner[lane];
                    lead[lane] = gain > lead[lane] ? gain : lead[lane];
                }
            for (int lane = 0; lane < LANES; lane++)
                found[lane] = (uint8_t)winner[lane];
            memcpy(ids + y * pitch + from, found, some);
        }
    }
}

/* Of one row of cells: the largest value of each class in each cell, the first class that can win there, and how many can.
 * upper, lower: the first class's values on either side; the others follow every `step`. floor: of each cell the largest of
 * the classes' smallest values. room: 2 * (columns + 2). */
INLINE void survey(const float *upper, const float *lower, long classes, long columns, long step, float *largest,
                   float *floor, int32_t *first, int32_t *count, float *room) {
    long cells = columns + 1, pitch = columns + 2;
    float *high = room, *low = room + pitch;
    for (long each = 0; each < classes; each++) {
        const float *above = upper + each * step, *below = lower + each * step;
        for (long x = 0; x < columns; x++) {
            high[x + 1] = above[x] > below[x] ? above[x] : below[x];
            low[x + 1] = above[x] < below[x] ? above[x] : below[x];
        }
        high[0] = high[1], low[0] = low[1];
        high[columns + 1] = high[columns], low[columns + 1] = low[columns];
        for (long cell = 0; cell < cells; cell++) {
            float least = low[cell] < low[cell + 1] ? low[cell] : low[cell + 1];
            floor[cell] = each && floor[cell] > least ? floor[cell] : least;
            largest[each * pitch + cell] = high[cell] > high[cell + 1] ? high[cell] : high[cell + 1];
        }
    }
    memset(count, 0, (size_t)cells * sizeof *count);
    for (long each = classes - 1; each >= 0; each--)
        for (long cell = 0; cell < cells; cell++) {
            int32_t may = largest[each * pitch + cell] >= floor[cell];
            first[cell] = may ? (int32_t)each : first[cell];
            count[cell] += may;
        }
}

/* logits: classes × rows × columns, all finite. row_first, column_first: the first pixel of each cell of that axis, of
 * which there is one more than values, and the end; row_share, column_share: of each pixel, of the value after it, and
 * LANES more. room: (classes + 5) * (columns + 2) floats. ids: height × width. */
ALSO_FOR(AVX2)
void maskmill_class_ids(const float *logits, long classes, long rows, long columns, const int32_t *row_first,
                        const float *row_share, const int32_t *column_first, const float *column_share, long width,
                        float *room, uint8_t *ids) {
    long pitch = columns + 2, step = rows * columns;
    float *largest = room, *floor = room + classes * pitch, *sides = floor + pitch;
    int32_t *first = (int32_t *)(sides + 2 * pitch), *count = first + pitch;
    for (long row = 0; row <= rows; row++) {
        Span down = {row_share, row_first[row], row_first[row + 1] - row_first[row]};
        if (down.count <= 0)
            continue;
        const float *upper = logits + (row ? row - 1 : 0) * columns, *lower = logits + (row < rows ? row : rows - 1) * columns;
        survey(upper, lower, classes, columns, step, largest, floor, first, count, sides);
        uint8_t *band = ids + down.first * width;
        for (long cell = 0; cell <= columns; cell++)
            memset(band + column_first[cell], first[cell], (size_t)(column_first[cell + 1] - column_first[cell]));
        for (long y = 1; y < down.count; y++)
            memcpy(band + y * width, band, (size_t)width);
        for (long cell = 0; cell <= columns; cell++) {
            Span across = {column_share, column_first[cell], column_first[cell + 1] - column_first[cell]};
            if (count[cell] < 2 || across.count <= 0)
                continue;
            long left = cell ? cell - 1 : 0, right = cell < columns ? cell : columns - 1;
            int32_t rivals[MOST_CLASSES], found = 0;
            float corners[MOST_CLASSES][4];
            for (long each = first[cell]; found < count[cell]; each++)
                if (largest[each * pitch + cell] >= floor[cell]) {
                    const float *above = upper + each * step, *below = lower + each * step;
                    memcpy(corners[found], (float[]){above[left], above[right], below[left], below[right]}, 16);
                    rivals[found++] = (int32_t)each;
                }
            disputed((const float (*)[4])corners, rivals, found, across, down, band + across.first, width);
        }
    }
}

/* ---- Colours over a picture. Source of the arithmetic: Pillow's `Blend.c`: single precision, fractions cut off. */

enum { CHUNK = 64 };

/* ids: a class for each of `count` pixels. colours: 256 × 4 bytes, red, green, blue and nothing. rgb, out: count × 3. */
ALSO_FOR(AVX2, AVX512)
void maskmill_blend(const uint8_t *ids, const uint8_t *rgb, long count, const uint8_t *colours, float opacity, uint8_t *out) {
    uint8_t coloured[3 * CHUNK + 1];
    int all = -1; /* the class of which `coloured` is full */
    for (long from = 0; from < count; from += CHUNK) {
        long some = count - from < CHUNK ? count - from : CHUNK;
        int is_one = !memcmp(ids + from, ids + from + 1, (size_t)(some - 1));
        if (!is_one || ids[from] != all)
            for (long each = 0; each < some; each++)
                memcpy(coloured + 3 * each, colours + 4 * ids[from + each], 4);
        all = is_one && some == CHUNK ? ids[from] : -1;
        for (long each = 0; each < 3 * some; each++) {
            int32_t below = rgb[3 * from + each];
            out[3 * from + each] = (uint8_t)(int32_t)((float)below + opacity * (float)(coloured[each] - below));
        }
    }
}

/* ---- How often each id occurs. */

/* counts: 256 of them, added to. Runs of one id, which is most of a label map, are counted as one; neighbours have counters
 * of their own, so that they do not wait for one another. */
void maskmill_count(const uint8_t *ids, long count, int64_t *counts) {
    enum { WORD = 8, COUNTERS = 4 };
    int64_t found[COUNTERS][256] = {{0}};
    long from = 0;
    for (; from + CHUNK <= count; from += CHUNK) {
        const uint8_t *chunk = ids + from;
        if (!memcmp(chunk, chunk + 1, CHUNK - 1)) {
            found[0][*chunk] += CHUNK;
            continue;
        }
        for (int word = 0; word < CHUNK; word += WORD) {
            uint64_t all;
            memcpy(&all, chunk + word, WORD);
            if (all == (all & 255) * 0x0101010101010101u)
                found[0][all & 255] += WORD;
            else
                for (int each = 0; each < WORD; each++, all >>= 8)
                    found[each % COUNTERS][all & 255]++;
        }
    }
    for (; from < count; from++)
        found[0][ids[from]]++;
    for (int counter = 0; counter < COUNTERS; counter++)
        for (int id = 0; id < 256; id++)
            counts[id] += found[counter][id];
}
