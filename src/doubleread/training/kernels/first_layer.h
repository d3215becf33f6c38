/* The first layer of a perceptron on stored pixels: one pass over its weights for each training step.
 *
 * A block of 64 pixels at a time: the gradient of the block's weights from the batch just seen, the optimizer on them,
 * and at once their part of the next batch's products. So a weight and its moments are read and written once a step,
 * and a gradient never leaves the registers.
 *
 * Layout. Units are the layer's outputs. They come in chunks of `nv` vectors of LANES; a chunk is a matrix of its own,
 * weights[pixel][unit], rows beyond the last pixel and units beyond the last one zero. Pixels of a batch are stored
 * block by block, x[block][case][64], as `gather` leaves them. Every array is aligned to 64 bytes. Sums are taken in
 * one fixed order, whatever the machine does beside it.
 *
 * bf16: factors are rounded to bfloat16, products are exact and are summed in float32; weights stay float32.
 */
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512BF16__)
#include <immintrin.h>
#define HAS_BF16 1
#else
#define HAS_BF16 0
#endif

#define BLOCK 64
#define SPAN 16 /* blocks whose products are summed before they join the total: two short sums round less than one long */
#define PIXELS_AT_ONCE 4
#define CASES_AT_ONCE 4
#define MOST_VECTORS 4

#define INLINE static inline __attribute__((always_inline))
#define EACH _Pragma("GCC unroll 8") for
#if defined(__AVX512F__)
/* keeps a vector in its register: read from memory again for each product, it would make the loads the bottleneck */
#define HOLD(vector) __asm__("" : "+v"(vector))
#else
#define HOLD(vector)
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4)));

enum { ADAM, ADAMW, SGD };

/* What the optimizer does in this step; the caller works out what depends on the step's number in double. */
typedef struct {
  int32_t kind, nesterov;
  float rate;     /* SGD: the rate; Adam: the rate over 1 - beta1^t */
  float keep1;    /* 1 - beta1 */
  float beta2, keep2;
  float root;     /* 1 / sqrt(1 - beta2^t) */
  float eps;
  float decay;    /* added to the gradient, times the weight */
  float shrink;   /* AdamW: the weight is multiplied by it first */
  float momentum;
} update_t;

/* `value` in every lane; less zero, because that changes no value and compilers see a broadcast in it */
INLINE vec all(float value) { return value - (vec){0}; }

INLINE vec root_of(vec x) {
  vec r;
  for (int i = 0; i < LANES; i++) r[i] = __builtin_sqrtf(x[i]);
  return r;
}

/* PyTorch's formulas; `m` is the momentum of SGD too. */
INLINE void update(const update_t *u, vec *w_, vec *m_, vec *v_, vec g) {
  vec w = *w_, m = *m_;
  if (u->kind == SGD) {
    g += all(u->decay) * w;
    if (u->momentum) {
      m = m * all(u->momentum) + g;
      *m_ = m;
      g = u->nesterov ? g + m * all(u->momentum) : m;
    }
    *w_ = w - all(u->rate) * g;
    return;
  }
  vec v = *v_;
  if (u->kind == ADAMW)
    w *= all(u->shrink);
  else
    g += all(u->decay) * w;
  m += (g - m) * all(u->keep1);
  v = v * all(u->beta2) + g * g * all(u->keep2);
  w -= all(u->rate) * m / (root_of(v) * all(u->root) + all(u->eps));
  *w_ = w, *m_ = m, *v_ = v;
}

/* What is subtracted from each pixel of a block: nothing beyond the last one, which is stored as zero and stays so. */
INLINE void shifts_of(float *out, long inside, float shift) {
  for (long i = 0; i < BLOCK; i++) out[i] = i < inside ? shift : 0;
}

/* Pixels of a block as float32, [case][64]; `shift` tells whether there is anything to subtract. */
INLINE void widen(float *out, const uint8_t *x, long n, const float *shifts, float shift) {
  if (!shift) {
    for (long i = 0; i < n * BLOCK; i++) out[i] = x[i];
    return;
  }
  for (long b = 0; b < n; b++)
    for (long i = 0; i < BLOCK; i++) out[b * BLOCK + i] = x[b * BLOCK + i] - shifts[i];
}

/* Add the products of `many` cases with a block's weights to sums[case][unit]. */
INLINE void multiply(const float *w, const float *x, float *sums, int nv, int many) {
  vec z[CASES_AT_ONCE][MOST_VECTORS];
  EACH(int q = 0; q < many; q++) EACH(int k = 0; k < nv; k++) z[q][k] = *(vec *)(sums + (q * nv + k) * LANES);
  for (int t = 0; t < BLOCK; t++) {
    vec row[MOST_VECTORS];
    EACH(int k = 0; k < nv; k++) {
      row[k] = *(const vec *)(w + (t * nv + k) * LANES);
      HOLD(row[k]);
    }
    EACH(int q = 0; q < many; q++) {
      vec pixel = all(x[q * BLOCK + t]);
      HOLD(pixel);
      EACH(int k = 0; k < nv; k++) z[q][k] += pixel * row[k];
    }
  }
  EACH(int q = 0; q < many; q++) EACH(int k = 0; k < nv; k++) *(vec *)(sums + (q * nv + k) * LANES) = z[q][k];
}

/* The gradient of a block's weights from `n` cases, and the optimizer on them. */
INLINE void descend(float *w, float *m, float *v, const float *x, const float *delta, long n, int nv,
                    const update_t *u) {
  for (int t = 0; t < BLOCK; t += PIXELS_AT_ONCE) {
    vec g[PIXELS_AT_ONCE][MOST_VECTORS];
    EACH(int q = 0; q < PIXELS_AT_ONCE; q++) EACH(int k = 0; k < nv; k++) g[q][k] = all(0);
    for (long b = 0; b < n; b++) {
      vec row[MOST_VECTORS];
      EACH(int k = 0; k < nv; k++) {
        row[k] = *(const vec *)(delta + (b * nv + k) * LANES);
        HOLD(row[k]);
      }
      EACH(int q = 0; q < PIXELS_AT_ONCE; q++) {
        vec pixel = all(x[b * BLOCK + t + q]);
        HOLD(pixel);
        EACH(int k = 0; k < nv; k++) g[q][k] += pixel * row[k];
      }
    }
    EACH(int q = 0; q < PIXELS_AT_ONCE; q++) {
      EACH(int k = 0; k < nv; k++) {
        long at = ((t + q) * nv + k) * LANES;
        update(u, (vec *)(w + at), (vec *)(m + at), (vec *)(v + at), g[q][k]);
      }
    }
  }
}

#if HAS_BF16

INLINE __m512i interleaved(vec low, vec high) {
  static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                     8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_loadu_si512(order),
                                  (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
}

/* Deltas of `n` cases as pairs of cases: out[pair][unit], a lone last one beside zeros. */
INLINE void pair_deltas(uint32_t *out, const float *delta, long n, long width) {
  for (long b = 0; b < n; b += 2)
    for (long i = 0; i < width; i += LANES) {
      vec high = b + 1 < n ? *(const vec *)(delta + (b + 1) * width + i) : all(0);
      _mm512_storeu_si512(out + b / 2 * width + i, interleaved(*(const vec *)(delta + b * width + i), high));
    }
}

INLINE vec sixteen(const uint8_t *x, const float *shifts) {
  __m512i whole = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)x));
  return (vec)_mm512_cvtepi32_ps(whole) - *(const loose *)shifts;
}

/* Pixels of a block as pairs of cases, out[pair][64], a lone last one beside zeros. */
INLINE void pair_cases(uint32_t *out, const uint8_t *x, long n, const float *shifts) {
  for (long b = 0; b < n; b += 2)
    for (long i = 0; i < BLOCK; i += LANES) {
      vec high = b + 1 < n ? sixteen(x + (b + 1) * BLOCK + i, shifts + i) : all(0);
      _mm512_storeu_si512(out + b / 2 * BLOCK + i, interleaved(sixteen(x + b * BLOCK + i, shifts + i), high));
    }
}

/* Pixels of a block as pairs of neighbours: out[case][32]. */
INLINE void pair_pixels(uint32_t *out, const uint8_t *x, long n, const float *shifts) {
  for (long b = 0; b < n * BLOCK; b += BLOCK)
    for (long i = 0; i < BLOCK; i += 2 * LANES) {
      vec low = sixteen(x + b + i, shifts + i), high = sixteen(x + b + i + LANES, shifts + i + LANES);
      _mm512_storeu_si512(out + (b + i) / 2, (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
    }
}

/* A block's weights as pairs of pixels: out[pair][unit]. */
INLINE void pair_weights(uint32_t *out, const float *w, int nv) {
  for (int t = 0; t < BLOCK; t += 2)
    EACH(int k = 0; k < nv; k++)
      _mm512_storeu_si512(out + (t / 2 * nv + k) * LANES, interleaved(*(const vec *)(w + (t * nv + k) * LANES),
                                                                      *(const vec *)(w + ((t + 1) * nv + k) * LANES)));
}

INLINE void multiply_bf16(const uint32_t *w, const uint32_t *x, float *sums, int nv, int many) {
  __m512 z[CASES_AT_ONCE][MOST_VECTORS];
  EACH(int q = 0; q < many; q++) EACH(int k = 0; k < nv; k++) z[q][k] = *(__m512 *)(sums + (q * nv + k) * LANES);
  for (int t = 0; t < BLOCK / 2; t++) {
    __m512bh row[MOST_VECTORS];
    EACH(int k = 0; k < nv; k++) {
      row[k] = (__m512bh)_mm512_loadu_si512(w + (t * nv + k) * LANES);
      HOLD(row[k]);
    }
    EACH(int q = 0; q < many; q++) {
      __m512bh pixels = (__m512bh)_mm512_set1_epi32((int)x[q * BLOCK / 2 + t]);
      HOLD(pixels);
      EACH(int k = 0; k < nv; k++) z[q][k] = _mm512_dpbf16_ps(z[q][k], pixels, row[k]);
    }
  }
  EACH(int q = 0; q < many; q++) EACH(int k = 0; k < nv; k++) *(__m512 *)(sums + (q * nv + k) * LANES) = z[q][k];
}

INLINE void descend_bf16(float *w, float *m, float *v, const uint32_t *x, const uint32_t *delta, long n, int nv,
                         const update_t *u) {
  for (int t = 0; t < BLOCK; t += PIXELS_AT_ONCE) {
    __m512 g[PIXELS_AT_ONCE][MOST_VECTORS];
    EACH(int q = 0; q < PIXELS_AT_ONCE; q++) EACH(int k = 0; k < nv; k++) g[q][k] = _mm512_setzero_ps();
    for (long pair = 0; pair < (n + 1) / 2; pair++) {
      __m512bh row[MOST_VECTORS];
      EACH(int k = 0; k < nv; k++) {
        row[k] = (__m512bh)_mm512_loadu_si512(delta + (pair * nv + k) * LANES);
        HOLD(row[k]);
      }
      EACH(int q = 0; q < PIXELS_AT_ONCE; q++) {
        __m512bh cases = (__m512bh)_mm512_set1_epi32((int)x[pair * BLOCK + t + q]);
        HOLD(cases);
        EACH(int k = 0; k < nv; k++) g[q][k] = _mm512_dpbf16_ps(g[q][k], cases, row[k]);
      }
    }
    EACH(int q = 0; q < PIXELS_AT_ONCE; q++) {
      EACH(int k = 0; k < nv; k++) {
        long at = ((t + q) * nv + k) * LANES;
        update(u, (vec *)(w + at), (vec *)(m + at), (vec *)(v + at), (vec)g[q][k]);
      }
    }
  }
}

#endif

typedef struct {
  const uint8_t *x; /* blocks of the batch, or null where there is none */
  long n;
} batch_t;

/* Floats of working memory for batches of at most `n` cases. */
INLINE long sweep_scratch(long n) {
  return 2 * (n + 1) * BLOCK + (2 * n + 1 + BLOCK) * MOST_VECTORS * LANES + BLOCK;
}

/* The same memory, cut: as float32, or as pairs of bfloat16. */
typedef struct {
  float *shifts, *sums, *seen, *next, *deltas, *weights;
} parts_t;

INLINE parts_t parts_of(float *scratch, long n_seen, long n_next, int nv) {
  parts_t p;
  p.shifts = scratch;
  p.weights = p.shifts + BLOCK;
  p.sums = p.weights + BLOCK * nv * LANES;
  p.seen = p.sums + n_next * nv * LANES;
  p.next = p.seen + (n_seen + 1) * BLOCK;
  p.deltas = p.next + (n_next + 1) * BLOCK;
  return p;
}

/* Add the products of `n` cases with a block's weights to p.sums. */
INLINE void products_of(const float *w, const uint8_t *x, long n, parts_t p, float shift, int nv, int bf16) {
  long b = 0;
#if HAS_BF16
  if (bf16) {
    uint32_t *pairs = (uint32_t *)p.next, *weights = (uint32_t *)p.weights;
    pair_pixels(pairs, x, n, p.shifts);
    pair_weights(weights, w, nv);
    for (; b + CASES_AT_ONCE <= n; b += CASES_AT_ONCE)
      multiply_bf16(weights, pairs + b * BLOCK / 2, p.sums + b * nv * LANES, nv, CASES_AT_ONCE);
    for (; b < n; b++) multiply_bf16(weights, pairs + b * BLOCK / 2, p.sums + b * nv * LANES, nv, 1);
    return;
  }
#endif
  (void)bf16;
  widen(p.next, x, n, p.shifts, shift);
  for (; b + CASES_AT_ONCE <= n; b += CASES_AT_ONCE)
    multiply(w, p.next + b * BLOCK, p.sums + b * nv * LANES, nv, CASES_AT_ONCE);
  for (; b < n; b++) multiply(w, p.next + b * BLOCK, p.sums + b * nv * LANES, nv, 1);
}

/* One chunk of units: descend along `seen` (if any), then the products of `next` (if any) into sums[case][unit]. */
INLINE void chunk(float *w, float *m, float *v, long pixels, batch_t seen, const float *delta, batch_t next, float *sums,
                  float shift, const update_t *u, float *scratch, int nv, int bf16) {
  parts_t p = parts_of(scratch, seen.n, next.n, nv);
#if HAS_BF16
  if (bf16 && seen.x) pair_deltas((uint32_t *)p.deltas, delta, seen.n, nv * LANES);
#endif
  long blocks = (pixels + BLOCK - 1) / BLOCK, size = BLOCK * nv * LANES;
  for (long i = 0; i < blocks; i++, w += size, m += size, v += size) {
    if (i == 0 || i == blocks - 1) shifts_of(p.shifts, pixels - i * BLOCK, shift);
    if (seen.x) {
      const uint8_t *x = seen.x + i * BLOCK * seen.n;
#if HAS_BF16
      if (bf16) {
        pair_cases((uint32_t *)p.seen, x, seen.n, p.shifts);
        descend_bf16(w, m, v, (uint32_t *)p.seen, (uint32_t *)p.deltas, seen.n, nv, u);
      } else
#endif
      {
        widen(p.seen, x, seen.n, p.shifts, shift);
        descend(w, m, v, p.seen, delta, seen.n, nv, u);
      }
    }
    if (!next.x) continue;
    if (i % SPAN == 0) memset(p.sums, 0, next.n * nv * LANES * sizeof(float));
    products_of(w, next.x + i * BLOCK * next.n, next.n, p, shift, nv, bf16);
    if (i % SPAN == SPAN - 1 || i == blocks - 1)
      for (long j = 0; j < next.n * nv * LANES; j++) sums[j] += p.sums[j];
  }
}

/* Copy the images at `rows` into blocks: out[block][case][64], zero beyond the last pixel. */
static void gather(const uint8_t *images, long pixels, const int64_t *rows, long n, uint8_t *out) {
  for (long b = 0; b < n; b++) {
    const uint8_t *image = images + rows[b] * pixels;
    uint8_t *to = out + b * BLOCK;
    long whole = pixels / BLOCK;
    for (long i = 0; i < whole; i++) memcpy(to + i * n * BLOCK, image + i * BLOCK, BLOCK);
    if (pixels % BLOCK) {
      memset(to + whole * n * BLOCK, 0, BLOCK);
      memcpy(to + whole * n * BLOCK, image + whole * BLOCK, pixels % BLOCK);
    }
  }
}

/* One step of the layer: `chunks` matrices of weights and moments (SGD has no `v`), deltas [chunk][case][unit] of the
 * batch seen, sums [chunk][case][unit] of the next, which are overwritten. */
static void sweep(float *w, float *m, float *v, long pixels, int chunks, int nv, batch_t seen, const float *delta,
                  batch_t next, float *sums, float shift, const update_t *u, float *scratch, int bf16) {
  update_t step = u ? *u : (update_t){0};
  long matrix = (pixels + BLOCK - 1) / BLOCK * BLOCK * nv * LANES;
  if (next.x) memset(sums, 0, chunks * next.n * nv * LANES * sizeof(float));
  for (int c = 0; c < chunks; c++) {
    float *cw = w + c * matrix, *cm = m + c * matrix, *cv = v ? v + c * matrix : cm;
    const float *cd = seen.x ? delta + c * seen.n * nv * LANES : 0;
    float *cs = next.x ? sums + c * next.n * nv * LANES : 0;
#define CASE(NV, BF16) chunk(cw, cm, cv, pixels, seen, cd, next, cs, shift, &step, scratch, NV, BF16)
    if (HAS_BF16 && bf16)
      nv == 4 ? CASE(4, 1) : nv == 2 ? CASE(2, 1) : CASE(1, 1);
    else
      nv == 4 ? CASE(4, 0) : nv == 2 ? CASE(2, 0) : CASE(1, 0);
#undef CASE
  }
}
