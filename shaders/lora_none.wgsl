// The place of LoRA's operands in a product without it.
const LORA = false;
fn load_left(at: u32, count: u32) -> vec4<f32> { return vec4<f32>(); }
fn load_right(at: u32, count: u32) -> vec4<f32> { return vec4<f32>(); }
fn load_spread(row: u32, r: u32) -> vec4<f32> { return vec4<f32>(); }
