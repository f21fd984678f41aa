/**
 * Lanes: several kernels for one piece of mathematics, chosen as data and recorded with a run.
 * `plain` is barrier-light f32, runs everywhere and is what the others are checked against; `tiled` stages through workgroup
 * memory within WebGPU's default limits (16 KiB, 256 invocations).
 */
export const LANES = ['plain', 'tiled'] as const;
export type Lane = (typeof LANES)[number];

/** The families that have lanes: dense products, attention, and reductions along a row. */
export const LANE_FAMILIES = ['matmul', 'attention', 'rows'] as const;
export type LaneFamily = (typeof LANE_FAMILIES)[number];

export type Lanes = Readonly<Record<LaneFamily, Lane>>;

export const uniformLanes = (lane: Lane): Lanes => ({ matmul: lane, attention: lane, rows: lane });
export const PLAIN_LANES = uniformLanes('plain');
