// LoRA dropout, inverted: element e of an activation is kept with probability 1 - rate and then divided by it.
// The draw depends on (seed, step, salt, e) alone, so that every kernel that meets the element decides alike.
struct Dropout { seed: u32, step: u32 }
@group(0) @binding(8) var<uniform> dropout: Dropout;
const DROPOUT = true;

fn dropout_words(element: u32) -> vec4<u32> {
  return pcg4d(vec4<u32>(dropout.seed, dropout.step, params.salt, element / 4u));
}

// Factors 0 or 1 / (1 - rate) of elements `element` to `element + 3`; one draw gives four aligned elements.
fn keep4(element: u32) -> vec4<f32> {
  var words = dropout_words(element);
  let phase = element % 4u;
  if (phase != 0u) {
    let next = dropout_words(element + 4u);
    if (phase == 1u) { words = vec4<u32>(words.yzw, next.x); }
    else if (phase == 2u) { words = vec4<u32>(words.zw, next.xy); }
    else { words = vec4<u32>(words.w, next.xyz); }
  }
  let draws = vec4<f32>(unit_float(words.x), unit_float(words.y), unit_float(words.z), unit_float(words.w));
  return select(vec4<f32>(0.0), vec4<f32>(1.0 / (1.0 - params.dropout)), draws >= vec4<f32>(params.dropout));
}
