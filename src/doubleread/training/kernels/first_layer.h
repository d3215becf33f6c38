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
#define PIXELS_AT_ONCE 2
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
    m = m * all(u->momentum) + g;
    *m_ = m;
    *w_ = w - all(u->rate) * (u->nesterov ? g + m * all(u->momentum) : m);
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

/* Pixels of a block as float32, [case][64], less `shift`; zero beyond the last pixel. */
INLINE void widen(float *out, const uint8_t *x, long n, long inside, float shift) {
  for (long i = 0; i < n * BLOCK; i++) out[i] = x[i] - shift;
  if (inside < BLOCK)
    for (long b = 0; b < n; b++) memset(out + b * BLOCK + inside, 0, (BLOCK - inside) * sizeof(float));
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
    EACH(int q = 0; q < PIXELS_AT_ONCE; q++) EACH(int k = 0; k < nv; k++) {
      long at = ((t + q) * nv + k) * LANES;
      update(u, (vec *)(w + at), (vec *)(m + at), (vec *)(v + at), g[q][k]);
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

/* Rows of `n` cases, [case][stride], as pairs of cases: out[pair][stride], a lone last one beside zeros. */
INLINE void pair_cases(uint32_t *out, const float *x, long n, long stride) {
  for (long b = 0; b < n; b += 2)
    for (long i = 0; i < stride; i += LANES) {
      vec high = b + 1 < n ? *(const loose *)(x + (b + 1) * stride + i) : all(0);
      _mm512_storeu_si512(out + b / 2 * stride + i, interleaved(*(const loose *)(x + b * stride + i), high));
    }
}

/* Rows of `n` cases as pairs of neighbouring pixels: out[case][32]. */
INLINE void pair_pixels(uint32_t *out, const float *x, long n) {
  for (long i = 0; i < n * BLOCK; i += 2 * LANES)
    _mm512_storeu_si512(out + i / 2, (__m512i)_mm512_cvtne2ps_pbh((__m512)*(const loose *)(x + i + LANES),
                                                                  (__m512)*(const loose *)(x + i)));
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
    EACH(int q = 0; q < PIXELS_AT_ONCE; q++) EACH(int k = 0; k < nv; k++) {
      long at = ((t + q) * nv + k) * LANES;
      update(u, (vec *)(w + at), (vec *)(m + at), (vec *)(v + at), (vec)g[q][k]);
    }
  }
}

#endif

typedef struct {
  const uint8_t *x; /* blocks of the batch, or null where there is none */
  long n;
} batch_t;

/* Floats of working memory for batches of at most `n` cases. */
INLINE long sweep_scratch(long n) { return 4 * (n + 1) * BLOCK + (2 * n + 1 + BLOCK) * MOST_VECTORS * LANES; }

/* One chunk of units: descend along `seen` (if any), then the products of `next` (if any) into sums[case][unit]. */
INLINE void chunk(float *w, float *m, float *v, long pixels, batch_t seen, const float *delta, batch_t next, float *sums,
                  float shift, const update_t *u, float *scratch, int nv, int bf16) {
  float *seen_x = scratch, *next_x = seen_x + (seen.n + 1) * BLOCK, *part = next_x + (next.n + 1) * BLOCK;
#if HAS_BF16
  uint32_t *pairs = (uint32_t *)(part + next.n * nv * LANES), *next_pairs = pairs + (seen.n + 1) * BLOCK;
  uint32_t *deltas = next_pairs + (next.n + 1) * BLOCK, *weights = deltas + (seen.n + 1) * nv * LANES;
  if (bf16 && seen.x) pair_cases(deltas, delta, seen.n, nv * LANES);
#endif
  long blocks = (pixels + BLOCK - 1) / BLOCK;
  for (long i = 0; i < blocks; i++) {
    long at = i * BLOCK * nv * LANES, inside = pixels - i * BLOCK;
    if (seen.x) {
      widen(seen_x, seen.x + i * BLOCK * seen.n, seen.n, inside, shift);
#if HAS_BF16
      if (bf16) {
        pair_cases(pairs, seen_x, seen.n, BLOCK);
        descend_bf16(w + at, m + at, v + at, pairs, deltas, seen.n, nv, u);
      } else
#endif
        descend(w + at, m + at, v + at, seen_x, delta, seen.n, nv, u);
    }
    if (!next.x) continue;
    if (i % SPAN == 0) memset(part, 0, next.n * nv * LANES * sizeof(float));
    widen(next_x, next.x + i * BLOCK * next.n, next.n, inside, shift);
    long b = 0;
#if HAS_BF16
    if (bf16) {
      pair_pixels(next_pairs, next_x, next.n);
      pair_weights(weights, w + at, nv);
      for (; b + CASES_AT_ONCE <= next.n; b += CASES_AT_ONCE)
        multiply_bf16(weights, next_pairs + b * BLOCK / 2, part + b * nv * LANES, nv, CASES_AT_ONCE);
      for (; b < next.n; b++) multiply_bf16(weights, next_pairs + b * BLOCK / 2, part + b * nv * LANES, nv, 1);
    } else
#endif
    {
      for (; b + CASES_AT_ONCE <= next.n; b += CASES_AT_ONCE)
        multiply(w + at, next_x + b * BLOCK, part + b * nv * LANES, nv, CASES_AT_ONCE);
      for (; b < next.n; b++) multiply(w + at, next_x + b * BLOCK, part + b * nv * LANES, nv, 1);
    }
    if (i % SPAN == SPAN - 1 || i == blocks - 1)
      for (long j = 0; j < next.n * nv * LANES; j++) sums[j] += part[j];
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
