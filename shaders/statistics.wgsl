// Statistics of an update, in orders that are fixed, so that the same run gives the same bytes.
// include: rl

// kernel: contribution_partials
// Adds up one chunk of positions; the entries after the first `sums` are maxima.
struct Params { positions: u32, entries: u32, sums: u32, chunk: u32, chunks: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> contributions: array<f32>;   // [positions, entries]
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;  // [chunks, entries]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.chunks * params.entries) { return; }
  let entry = i % params.entries;
  let begin = (i / params.entries) * params.chunk;
  let end = min(begin + params.chunk, params.positions);
  var total = 0.0;
  for (var p = begin; p < end; p++) {
    let x = contributions[p * params.entries + entry];
    total = select(max(total, x), total + x, entry < params.sums);
  }
  partials[i] = total;
}

// kernel: accumulate
// Adds the chunks, in order, to a region of the statistics row.
struct Params { entries: u32, sums: u32, chunks: u32, offset: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;         // [chunks, entries]
@group(0) @binding(2) var<storage, read_write> statistics: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) entry: u32) {
  if (entry >= params.entries) { return; }
  let before = statistics[params.offset + entry];
  var total = select(before, 0.0, entry < params.sums);
  for (var c = 0u; c < params.chunks; c++) {
    let x = partials[c * params.entries + entry];
    total = select(max(total, x), total + x, entry < params.sums);
  }
  statistics[params.offset + entry] = select(total, before + total, entry < params.sums);
}

// kernel: row_moments
// count, mean, m2 = sum of squared deviations, min and max of one series over the actions of one row.
struct Params { pool: u32, capacity: u32, series: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rollouts: array<Rollout>;      // [pool]
@group(0) @binding(2) var<storage, read> planes: array<f32>;            // [planes, pool, capacity]
@group(0) @binding(3) var<storage, read_write> moments: array<f32>;     // [pool, series, 5]

// In the order of SERIES in src/nn/statistics.ts.
fn element(series: u32, at: u32) -> f32 {
  let plane = params.pool * params.capacity;
  let old_logprob = planes[OLD_LOGPROBS * plane + at];
  switch series {
    case 0u: { return planes[ADVANTAGES * plane + at]; }
    case 1u: { return planes[VALUES * plane + at]; }
    case 2u: { return planes[RETURNS * plane + at]; }
    case 3u: { return planes[RETURNS * plane + at] - planes[VALUES * plane + at]; }
    case 4u, 5u, 6u: { return kl_estimate(series - 4u, old_logprob - planes[REF_LOGPROBS * plane + at]).x; }
    case 7u: { return abs(planes[SAMPLING_LOGPROBS * plane + at] - old_logprob); }
    default: { return exp(clamp(old_logprob - planes[SAMPLING_LOGPROBS * plane + at], -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)); }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * count.x + group.x) * 64u + lane;
  if (i >= params.pool * params.series) { return; }
  let row = i / params.series;
  let series = i % params.series;
  let begin = row * params.capacity + rollouts[row].first;
  let end = row * params.capacity + rollouts[row].end;
  var sum = 0.0;
  for (var at = begin; at < end; at++) { sum += element(series, at); }
  let n = f32(end - begin);
  let mean = sum / max(n, 1.0);
  var m2 = 0.0;
  var extremes = vec2<f32>(0.0);
  for (var at = begin; at < end; at++) {
    let x = element(series, at);
    m2 += (x - mean) * (x - mean);
    extremes = select(vec2<f32>(min(extremes.x, x), max(extremes.y, x)), vec2<f32>(x), at == begin);
  }
  let out = i * 5u;
  moments[out] = n;
  moments[out + 1u] = mean;
  moments[out + 2u] = m2;
  moments[out + 3u] = extremes.x;
  moments[out + 4u] = extremes.y;
}

// kernel: merge_moments
// Merges the rows in order (Chan, Golub and LeVeque 1979); all zeros when there is no action.
struct Params { pool: u32, series: u32, offset: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> moments: array<f32>;           // [pool, series, 5]
@group(0) @binding(2) var<storage, read_write> merged: array<f32>;      // [series, 5] from `offset` on, overwritten

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) series: u32) {
  if (series >= params.series) { return; }
  var n = 0.0;
  var mean = 0.0;
  var m2 = 0.0;
  var low = 0.0;
  var high = 0.0;
  for (var row = 0u; row < params.pool; row++) {
    let at = (row * params.series + series) * 5u;
    let more = moments[at];
    if (more == 0.0) { continue; }
    let difference = moments[at + 1u] - mean;
    let total = n + more;
    mean += difference * (more / total);
    m2 += moments[at + 2u] + difference * difference * (n * more / total);
    low = select(min(low, moments[at + 3u]), moments[at + 3u], n == 0.0);
    high = select(max(high, moments[at + 4u]), moments[at + 4u], n == 0.0);
    n = total;
  }
  let out = params.offset + series * 5u;
  merged[out] = n;
  merged[out + 1u] = mean;
  merged[out + 2u] = m2;
  merged[out + 3u] = low;
  merged[out + 4u] = high;
}
