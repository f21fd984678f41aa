// LoRA's operands in a product, where the rank and the columns are multiples of four.
const LORA = true;
@group(0) @binding(6) var<storage, read> left: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> right: array<vec4<f32>>;

fn load_left(at: u32, count: u32) -> vec4<f32> { return left[at / 4u]; }
fn load_right(at: u32, count: u32) -> vec4<f32> { return right[at / 4u]; }

// Elements r to r + 3 of the row of B that starts at `row`; zeros outside [0, rank).
fn load_spread(row: u32, r: u32) -> vec4<f32> {
  if (r < params.rank) { return right[(row + r) / 4u]; }
  return vec4<f32>();
}
