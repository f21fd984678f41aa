// How the products of matmul.wgsl touch memory for any shape and offset: element by element, `count` of them (1 or more), zero beyond.
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;

fn load_a(at: u32, count: u32) -> vec4<f32> {
  var v = vec4<f32>(a[at], 0.0, 0.0, 0.0);
  if (count > 1u) { v.y = a[at + 1u]; }
  if (count > 2u) { v.z = a[at + 2u]; }
  if (count > 3u) { v.w = a[at + 3u]; }
  return v;
}

fn load_b(at: u32, count: u32) -> vec4<f32> {
  var v = vec4<f32>(b[at], 0.0, 0.0, 0.0);
  if (count > 1u) { v.y = b[at + 1u]; }
  if (count > 2u) { v.z = b[at + 2u]; }
  if (count > 3u) { v.w = b[at + 3u]; }
  return v;
}

fn load_c(at: u32, count: u32) -> vec4<f32> {
  var v = vec4<f32>(c[at], 0.0, 0.0, 0.0);
  if (count > 1u) { v.y = c[at + 1u]; }
  if (count > 2u) { v.z = c[at + 2u]; }
  if (count > 3u) { v.w = c[at + 3u]; }
  return v;
}

fn load_bias(at: u32, count: u32) -> vec4<f32> {
  var v = vec4<f32>(bias[at], 0.0, 0.0, 0.0);
  if (count > 1u) { v.y = bias[at + 1u]; }
  if (count > 2u) { v.z = bias[at + 2u]; }
  if (count > 3u) { v.w = bias[at + 3u]; }
  return v;
}

fn load_residual(at: u32, count: u32) -> vec4<f32> {
  var v = vec4<f32>(residual[at], 0.0, 0.0, 0.0);
  if (count > 1u) { v.y = residual[at + 1u]; }
  if (count > 2u) { v.z = residual[at + 2u]; }
  if (count > 3u) { v.w = residual[at + 3u]; }
  return v;
}

fn store_c(at: u32, count: u32, value: vec4<f32>) {
  c[at] = value.x;
  if (count > 1u) { c[at + 1u] = value.y; }
  if (count > 2u) { c[at + 2u] = value.z; }
  if (count > 3u) { c[at + 3u] = value.w; }
}
