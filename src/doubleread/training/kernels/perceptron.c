/* A multilayer perceptron trained by its closed form, a stretch of steps a call.
 *
 * The first layer, with nearly all of the work, is first_layer.h's. The rest is small and plain: its weights lie in one
 * piece, the bias of the first layer, then for each further layer weight[in][out] and bias[out], every row padded with
 * zeros to `pads` floats, a multiple of LANES. Padding stays zero: its gradients are.
 */
#include "first_layer.h"

#include <math.h>

typedef struct {
  const uint8_t *images; /* [row][pixel] */
  const int64_t *labels; /* [row], 0 or 1 */
  const int64_t *widths; /* units of each layer */
  const int64_t *pads;   /* the same, padded; the first to whole chunks */
  float *first, *first_m, *first_v;
  float *rest, *rest_m, *rest_v, *gradients;
  float *scratch;
  uint8_t *seen, *next; /* the pixels of two batches, in blocks */
  int64_t pixels, rest_size;
  int32_t layers, nv, bf16, weighted;
  float shift, factor; /* pixels enter as (pixel - shift) * factor */
  float class_weights[2];
} network_t;

/* The working memory of batches of at most `n` cases, cut into its parts. */
typedef struct {
  float *sums, *delta, *below, *above, *sweep;
  float *values; /* what enters the layers after the first, then the outputs; [layer][case][pad] */
} work_t;

/* Units in a vector; a chunk has 1, 2 or 4 vectors. */
int lanes(void) { return LANES; }
int has_bf16(void) { return HAS_BF16; }

static int64_t widest(const int64_t *pads, int layers) {
  int64_t most = 0;
  for (int l = 0; l < layers; l++) most = pads[l] > most ? pads[l] : most;
  return most;
}

/* Bytes of working memory for batches of at most `n` cases. */
int64_t scratch_bytes(const int64_t *pads, int layers, int64_t n) {
  int64_t floats = 2 * n * pads[0] + 2 * n * widest(pads, layers) + sweep_scratch(n);
  for (int l = 0; l < layers; l++) floats += n * pads[l];
  return 4 * floats;
}

static work_t cut(const network_t *net, long n) {
  work_t work;
  long most = widest(net->pads, net->layers);
  work.sums = net->scratch;
  work.delta = work.sums + n * net->pads[0];
  work.below = work.delta + n * net->pads[0];
  work.above = work.below + n * most;
  work.values = work.above + n * most;
  work.sweep = work.values;
  for (int l = 0; l < net->layers; l++) work.sweep += n * net->pads[l];
  return work;
}

static batch_t look(const network_t *net, const int64_t *rows, long n) {
  gather(net->images, net->pixels, rows, n, net->next);
  return (batch_t){net->next, n};
}

static const batch_t NONE = {0, 0};

/* The first layer: descend along `seen` by work.delta, then the products of `next` into work.sums. */
static void pass(const network_t *net, work_t work, batch_t seen, batch_t next, const update_t *u) {
  sweep(net->first, net->first_m, net->first_v, net->pixels, net->pads[0] / (net->nv * LANES), net->nv, seen,
        work.delta, next, work.sums, net->shift, u, work.sweep, net->bf16);
}

/* Where unit `k` of case `b` of the first layer's products or deltas lies: [chunk][case][unit]. */
INLINE long in_chunks(long b, long k, long n, long width) { return (k / width * n + b) * width + k % width; }

/* out[0..many) vectors = start + sum over `in` rows of factor[row] * matrix[row]. */
INLINE void combine(const float *start, const float *factor, const float *matrix, long rows, long pad, float *out,
                    int many) {
  vec sum[MOST_VECTORS];
  EACH(int k = 0; k < many; k++) sum[k] = *(const vec *)(start + k * LANES);
  for (long i = 0; i < rows; i++) {
    vec f = all(factor[i]);
    EACH(int k = 0; k < many; k++) sum[k] += f * *(const vec *)(matrix + i * pad + k * LANES);
  }
  EACH(int k = 0; k < many; k++) *(vec *)(out + k * LANES) = sum[k];
}

/* ReLU, then the dropout mask [case][width] where there is one; returns the mask of the next layer. */
static const float *rectify(float *values, long n, long width, long pad, const float *mask) {
  for (long i = 0; i < n * pad; i++) values[i] = values[i] > 0 ? values[i] : values[i] == values[i] ? 0 : values[i];
  if (!mask) return 0;
  for (long b = 0; b < n; b++)
    for (long k = 0; k < width; k++) values[b * pad + k] *= mask[b * width + k];
  return mask + n * width;
}

/* From the products of the first layer to the outputs; returns these, [case][pad]. */
static const float *forward(const network_t *net, work_t work, long n, const float *mask) {
  long pad = net->pads[0], chunk_width = net->nv * LANES;
  float *values = work.values;
  for (long b = 0; b < n; b++)
    for (long k = 0; k < pad; k += chunk_width) {
      const float *sums = work.sums + in_chunks(b, k, n, chunk_width);
      for (long i = 0; i < chunk_width; i++) values[b * pad + k + i] = net->rest[k + i] + net->factor * sums[i];
    }
  const float *weight = net->rest + pad;
  for (int l = 1; l < net->layers; l++) {
    long in = net->pads[l - 1], out = net->pads[l];
    mask = rectify(values, n, net->widths[l - 1], in, mask);
    float *next = values + n * in;
    const float *bias = weight + net->widths[l - 1] * out;
    for (long b = 0; b < n; b++) {
      long k = 0;
      for (; k + MOST_VECTORS * LANES <= out; k += MOST_VECTORS * LANES)
        combine(bias + k, values + b * in, weight + k, net->widths[l - 1], out, next + b * out + k, MOST_VECTORS);
      for (; k < out; k += LANES)
        combine(bias + k, values + b * in, weight + k, net->widths[l - 1], out, next + b * out + k, 1);
    }
    weight = bias + out;
    values = next;
  }
  return values;
}

/* The loss of the outputs, their logits, and the loss's derivative by them into `above` [case][pad].
 *
 * With z the logit (output 1 less output 0 where there are two), a case costs softplus(z) - label * z. */
static double criterion(const network_t *net, const float *outputs, const int64_t *rows, long n, float *logits,
                        float *above) {
  long last = net->layers - 1, pad = net->pads[last];
  int two = net->widths[last] == 2;
  double loss = 0, total = 0;
  for (long b = 0; b < n; b++) {
    int64_t label = net->labels[rows[b]];
    float z = two ? outputs[b * pad + 1] - outputs[b * pad] : outputs[b * pad];
    float weight = net->weighted ? net->class_weights[label] : 1;
    logits[b] = z;
    loss += weight * ((z > 0 ? z : 0) + log1p(exp(-fabs(z))) - (label ? z : 0));
    total += weight;
    memset(above + b * pad, 0, pad * sizeof(float));
    above[b * pad + two] = weight * (1 / (1 + expf(-z)) - label);
  }
  for (long b = 0; b < n; b++) {
    above[b * pad + two] /= (float)total;
    if (two) above[b * pad] = -above[b * pad + 1];
  }
  return loss / total;
}

INLINE float dot(const float *a, const float *b, long pad) {
  vec sum = all(0);
  for (long k = 0; k < pad; k += LANES) sum += *(const vec *)(a + k) * *(const vec *)(b + k);
  float total = 0;
  for (int i = 0; i < LANES; i++) total += sum[i];
  return total;
}

/* Gradients of everything after the first layer's products; the derivative by the products into `delta`. */
static void backward(const network_t *net, work_t work, long n, const float *mask_end) {
  long end = net->rest_size, hidden_end = 0;
  for (int l = 0; l + 1 < net->layers; l++) hidden_end += n * net->pads[l];
  float *above = work.above, *below = work.below, *values = work.values + hidden_end;
  for (int l = net->layers - 1; l > 0; l--) {
    long in = net->pads[l - 1], out = net->pads[l], width = net->widths[l - 1];
    long at = end - out - width * out;
    const float *weight = net->rest + at, *mask = mask_end ? mask_end -= n * width : 0;
    values -= n * in;
    for (long k = 0; k < out; k += LANES) {
      vec sum = all(0);
      for (long b = 0; b < n; b++) sum += *(vec *)(above + b * out + k);
      *(vec *)(net->gradients + end - out + k) = sum;
      for (long i = 0; i < width; i += 2) {
        /* two rows at once: their sums do not wait for each other */
        vec one = all(0), two = all(0);
        long other = i + 1 < width ? i + 1 : i;
        for (long b = 0; b < n; b++) {
          vec gradient = *(vec *)(above + b * out + k);
          one += all(values[b * in + i]) * gradient;
          two += all(values[b * in + other]) * gradient;
        }
        *(vec *)(net->gradients + at + i * out + k) = one;
        *(vec *)(net->gradients + at + other * out + k) = two;
      }
    }
    memset(below, 0, n * in * sizeof(float));
    for (long b = 0; b < n; b++)
      for (long i = 0; i < width; i++)
        if (values[b * in + i] > 0)
          below[b * in + i] = dot(above + b * out, weight + i * out, out) * (mask ? mask[b * width + i] : 1);
    float *swap = above;
    above = below, below = swap, end = at;
  }
  long pad = net->pads[0], chunk_width = net->nv * LANES;
  memset(net->gradients, 0, pad * sizeof(float));
  for (long b = 0; b < n; b++)
    for (long k = 0; k < pad; k++) {
      net->gradients[k] += above[b * pad + k];
      work.delta[in_chunks(b, k, n, chunk_width)] = net->factor * above[b * pad + k];
    }
}

static void update_rest(const network_t *net, const update_t *u) {
  update_t step = *u;
  for (long i = 0; i < net->rest_size; i += LANES)
    update(&step, (vec *)(net->rest + i), (vec *)(net->rest_m + i), (vec *)(net->rest_v + i), *(vec *)(net->gradients + i));
}

/* Train on the cases at `rows`, `batch` at a time, one update each; returns how many updates were made.
 *
 * Fewer than there are batches, where a loss is not finite: its update is not made. `masks` holds for each batch and
 * each hidden layer [case][width], or is null; `losses` gets each batch's loss before its update, `logits` each case's. */
int64_t train(network_t *net, const int64_t *rows, int64_t n, int64_t batch, const update_t *updates, const float *masks,
              double *losses, float *logits) {
  long largest = batch < n ? batch : n, hidden = 0;
  for (int l = 0; l + 1 < net->layers; l++) hidden += net->widths[l];
  work_t work = cut(net, largest);
  pass(net, work, NONE, look(net, rows, largest), 0);
  int64_t done = 0;
  for (long at = 0; at < n; at += batch, done++) {
    long here = n - at < batch ? n - at : batch, left = n - at - here, then = left < batch ? left : batch;
    uint8_t *seen = net->next;
    const float *mask = masks ? masks + at * hidden : 0;
    losses[done] = criterion(net, forward(net, work, here, mask), rows + at, here, logits + at, work.above);
    if (!isfinite(losses[done])) return done;
    backward(net, work, here, mask ? mask + here * hidden : 0);
    update_rest(net, updates + done);
    net->next = net->seen, net->seen = seen;
    pass(net, work, (batch_t){seen, here}, then ? look(net, rows + at + batch, then) : NONE, updates + done);
  }
  return done;
}

/* The logits of the cases at `rows`, `batch` at a time, without dropout. */
void evaluate(network_t *net, const int64_t *rows, int64_t n, int64_t batch, float *logits) {
  long last = net->layers - 1, pad = net->pads[last];
  int two = net->widths[last] == 2;
  for (long at = 0; at < n; at += batch) {
    long here = n - at < batch ? n - at : batch;
    work_t work = cut(net, here);
    pass(net, work, NONE, look(net, rows + at, here), 0);
    const float *outputs = forward(net, work, here, 0);
    for (long b = 0; b < here; b++) logits[at + b] = outputs[b * pad + two] - (two ? outputs[b * pad] : 0);
  }
}
