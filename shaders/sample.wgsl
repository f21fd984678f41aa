// One token per slot from its logits, by the Gumbel-max trick: the argmax of z[v] + g[v] is a draw from softmax(z).
//   z[v] = logit[v] / temperature          g[v] = -log(-log(u[v]))
//   u[v] from pcg4d(seed_hi, seed_lo ^ id * 0x9e3779b9, position, v): a draw depends on (seed, id, position) alone, where
//   position is that of the token whose logits these are.
// Tokens are ordered by logit, equal ones by index, the lower first. top_k keeps the first k of that order; top_p then the
// shortest beginning whose probability, among those kept, reaches top_p. Both find the last logit that stays by bisection over
// the bit pattern of floats, so they are exact (top_p up to the rounding of the sums); then, by bisection over the index, which
// of several tokens with that very logit stay.
// The log-prob that is stored is that of softmax(z) before top_k and top_p; greedy takes the argmax, at temperature 1.
// A kernel gives STRIDE, the number of invocations per slot, and the two reductions over them.
// include: random

struct Params { slots: u32, vocab: u32, capacity: u32 }
struct Sampling { seed_hi: u32, seed_lo: u32, temperature: f32, top_k: u32, top_p: f32, eos: u32, greedy: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> scalars: Sampling;
@group(0) @binding(2) var<storage, read> logits: array<f32>;            // [slots, vocab]
@group(0) @binding(3) var<storage, read> row_of: array<u32>;            // [slots]
@group(0) @binding(4) var<storage, read> limits: array<u32>;            // [pool]: last position that may be written
@group(0) @binding(5) var<storage, read> ids: array<u32>;               // [pool]
@group(0) @binding(6) var<storage, read_write> tokens: array<u32>;      // [pool, capacity]
@group(0) @binding(7) var<storage, read_write> positions: array<u32>;   // [pool]: of the last token
@group(0) @binding(8) var<storage, read_write> finished: array<u32>;    // [pool]
@group(0) @binding(9) var<storage, read_write> logprobs: array<f32>;    // [pool, capacity]

const ENDED = 1u;
const CUT = 2u;
const LOWEST = -3.4e38;

struct Best { score: f32, index: u32 }

fn better(a: Best, b: Best) -> Best {
  if (b.score > a.score || (b.score == a.score && b.index < a.index)) { return b; }
  return a;
}

// Floats in the order of their values, as unsigned words.
fn order(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

fn value(key: u32) -> f32 { return bitcast<f32>(select(~key, key & 0x7fffffffu, (key >> 31u) == 1u)); }

// -log(u), u = unit_float(word). Close to 1, where f32's log() loses its digits, by the series in 1 - u: the largest g come from there.
fn exponential(word: u32) -> f32 {
  let rest = 0x7fffffu - (word >> 9u);
  if (rest >= 0x80000u) { return -log(unit_float(word)); }
  let d = (f32(rest) + 0.5) * (1.0 / 8388608.0);
  return d * (1.0 + d * (0.5 + d * (1.0 / 3.0 + d * (0.25 + d * 0.2))));
}

// Number of logits from `key` up, and the sum of their exp(z - z of the top).
fn count_from(key: u32, at: u32, lane: u32) -> f32 {
  var count = 0.0;
  for (var v = lane; v < params.vocab; v += STRIDE) { count += f32(order(logits[at + v]) >= key); }
  return total_of(count, lane);
}

fn mass_from(key: u32, top: f32, at: u32, lane: u32) -> f32 {
  var mass = 0.0;
  for (var v = lane; v < params.vocab; v += STRIDE) {
    let logit = logits[at + v];
    if (order(logit) >= key) { mass += exp((logit - top) / scalars.temperature); }
  }
  return total_of(mass, lane);
}

fn ties_until(key: u32, last: u32, at: u32, lane: u32) -> f32 {
  var count = 0.0;
  for (var v = lane; v <= last; v += STRIDE) { count += f32(order(logits[at + v]) == key); }
  return total_of(count, lane);
}

// A token stays when its logit is above `key`, or is `key` and its index at most `last`.
struct Cut { key: u32, last: u32 }

fn filtered(top: f32, at: u32, lane: u32) -> Cut {
  var key = 0u;
  var ties = 0.0; // how many tokens with the logit `key` stay
  let above_all = order(top) + 1u;
  if (scalars.top_k > 0u && scalars.top_k < params.vocab) {
    let k = f32(scalars.top_k);
    var end = above_all; // count_from(key) >= k > count_from(end)
    for (var step = 0u; step < 32u; step++) {
      let middle = key + (end - key) / 2u;
      if (count_from(middle, at, lane) >= k) { key = middle; } else { end = middle; }
    }
    ties = k - count_from(key + 1u, at, lane);
  }
  if (scalars.top_p < 1.0) {
    let low = key;
    let low_mass = ties * exp((value(key) - top) / scalars.temperature);
    let wanted = scalars.top_p * (mass_from(key + 1u, top, at, lane) + select(0.0, low_mass, ties > 0.0));
    var end = above_all; // mass_from(key) >= wanted > mass_from(end)
    for (var step = 0u; step < 32u; step++) {
      let middle = key + (end - key) / 2u;
      let mass = mass_from(middle, top, at, lane);
      if (middle == low || mass >= wanted) { key = middle; } else { end = middle; }
    }
    let missing = wanted - mass_from(key + 1u, top, at, lane);
    let needed = max(1.0, ceil(missing / exp((value(key) - top) / scalars.temperature)));
    ties = select(needed, min(needed, ties), key == low);
  }
  var first = 0u;
  var last = params.vocab - 1u;
  for (var step = 0u; step < 32u - countLeadingZeros(params.vocab); step++) {
    let middle = (first + last) / 2u;
    if (ties_until(key, middle, at, lane) >= ties) { last = middle; } else { first = min(middle + 1u, last); }
  }
  return Cut(key, last);
}

fn draw(slot: u32, row: u32, lane: u32) {
  let at = slot * params.vocab;
  let position = positions[row];
  var highest = Best(LOWEST, 0u);
  for (var v = lane; v < params.vocab; v += STRIDE) { highest = better(highest, Best(logits[at + v], v)); }
  highest = best_of(highest, lane);
  let top = highest.score;
  let temperature = select(scalars.temperature, 1.0, scalars.greedy == 1u);
  var sum = 0.0;
  for (var v = lane; v < params.vocab; v += STRIDE) { sum += exp((logits[at + v] - top) / temperature); }
  sum = total_of(sum, lane);

  var token = highest.index;
  if (scalars.greedy == 0u) {
    var cut = Cut(0u, params.vocab);
    if ((scalars.top_k > 0u && scalars.top_k < params.vocab) || scalars.top_p < 1.0) { cut = filtered(top, at, lane); }
    let key = vec4<u32>(scalars.seed_hi, scalars.seed_lo ^ (ids[row] * 0x9e3779b9u), position, 0u);
    var best = Best(LOWEST, 0u);
    for (var v = lane; v < params.vocab; v += STRIDE) {
      let logit = logits[at + v];
      let rank = order(logit);
      if (rank < cut.key || (rank == cut.key && v > cut.last)) { continue; }
      let gumbel = -log(exponential(pcg4d(key + vec4<u32>(0u, 0u, 0u, v)).x));
      best = better(best, Best((logit - top) / temperature + gumbel, v));
    }
    token = best_of(best, lane).index;
  }

  if (lane > 0u) { return; }
  let next = position + 1u;
  tokens[row * params.capacity + next] = token;
  logprobs[row * params.capacity + next] = (logits[at + token] - top) / temperature - log(sum);
  positions[row] = next;
  if (token == scalars.eos) { finished[row] = ENDED; }
  else if (next >= limits[row]) { finished[row] = CUT; }
}

// True when the row takes another token; one that has no room for it is cut.
fn running(row: u32) -> bool {
  if (finished[row] != 0u) { return false; }
  if (positions[row] < limits[row]) { return true; }
  finished[row] = CUT;
  return false;
}

// kernel: plain
// One invocation per slot.
const STRIDE = 1u;
fn best_of(best: Best, lane: u32) -> Best { return best; }
fn total_of(part: f32, lane: u32) -> f32 { return part; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.slots) { return; }
  let row = row_of[id.x];
  if (running(row)) { draw(id.x, row, 0u); }
}

// kernel: tiled
// A workgroup per slot.
const STRIDE = 256u;
var<workgroup> scores: array<f32, 256>;
var<workgroup> indices: array<u32, 256>;
var<workgroup> group_scores: array<f32, 16>;
var<workgroup> group_indices: array<u32, 16>;
var<workgroup> state: vec2<u32>; // row, running

fn best_of(best: Best, lane: u32) -> Best {
  scores[lane] = best.score;
  indices[lane] = best.index;
  workgroupBarrier();
  if (lane < 16u) {
    var winner = Best(scores[lane * 16u], indices[lane * 16u]);
    for (var i = 1u; i < 16u; i++) { winner = better(winner, Best(scores[lane * 16u + i], indices[lane * 16u + i])); }
    group_scores[lane] = winner.score;
    group_indices[lane] = winner.index;
  }
  workgroupBarrier();
  var winner = Best(group_scores[0], group_indices[0]);
  for (var i = 1u; i < 16u; i++) { winner = better(winner, Best(group_scores[i], group_indices[i])); }
  return winner;
}

fn total_of(part: f32, lane: u32) -> f32 {
  scores[lane] = part;
  workgroupBarrier();
  if (lane < 16u) {
    var sum = 0.0;
    for (var i = 0u; i < 16u; i++) { sum += scores[lane * 16u + i]; }
    group_scores[lane] = sum;
  }
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < 16u; i++) { sum += group_scores[i]; }
  return sum;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  if (lane == 0u) {
    let row = row_of[group.x];
    state = vec2<u32>(row, u32(running(row)));
  }
  let found = workgroupUniformLoad(&state);
  if (found.y == 1u) { draw(group.x, found.x, lane); }
}
