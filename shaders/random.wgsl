// Counter-based random numbers: pcg4d (Jarzynski and Olano 2020), the twin of src/base/random.ts, bit for bit.
// A draw depends only on its counters (seed, row, position, purpose), never on the order of the work.
// Shared text: included in front of the kernels that draw.

fn pcg4d(counters: vec4<u32>) -> vec4<u32> {
  var v = counters * 1664525u + 1013904223u;
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  v = v ^ (v >> vec4<u32>(16u));
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  return v;
}

// Uniform in (0, 1), 23 bits: with the half added that is all that f32 holds, so neither 0 nor 1 comes out.
fn unit_float(word: u32) -> f32 {
  return (f32(word >> 9u) + 0.5) * (1.0 / 8388608.0);
}
