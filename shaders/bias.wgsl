// kernel: column_sums
// Sums over one chunk of rows of dy[rows, columns]; reduce.wgsl adds the chunks in order.
struct Params { rows: u32, columns: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>; // [chunks, columns]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.columns) { return; }
  let end = min((id.y + 1u) * params.chunk, params.rows);
  var sum = 0.0;
  for (var row = id.y * params.chunk; row < end; row++) { sum += dy[row * params.columns + id.x]; }
  partials[id.y * params.columns + id.x] = sum;
}
