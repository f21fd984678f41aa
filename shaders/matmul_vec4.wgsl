// How the products of matmul.wgsl touch memory when every row starts at a multiple of four elements.
// `count` (elements left in the row) is then always 4 or more; matmul_scalar.wgsl is the other way.
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> c: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>;

fn load_a(at: u32, count: u32) -> vec4<f32> { return a[at / 4u]; }
fn load_b(at: u32, count: u32) -> vec4<f32> { return b[at / 4u]; }
fn load_c(at: u32, count: u32) -> vec4<f32> { return c[at / 4u]; }
fn load_bias(at: u32, count: u32) -> vec4<f32> { return bias[at / 4u]; }
fn load_residual(at: u32, count: u32) -> vec4<f32> { return residual[at / 4u]; }
fn store_c(at: u32, count: u32, value: vec4<f32>) { c[at / 4u] = value; }
