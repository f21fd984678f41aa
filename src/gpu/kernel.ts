/**
 * Kernels as WGSL text, the only source of truth for bindings and parameter layouts.
 *
 * A file in shaders/ holds one family: text before the first `// kernel: name` line is shared, and each such line starts a
 * module of its own with its bindings, its structs and one entry point `main`. `// include: random` pulls in shared text.
 * Bindings are plain `@group(0) @binding(n) var<storage, read|read_write> name: type;` or
 * `@group(0) @binding(n) var<uniform> name: Struct;`. A uniform called `params` is filled when a program is built; any other
 * uniform is a ScalarBlock, written between runs.
 */

export type BindingKind = 'uniform' | 'read' | 'read_write';

export interface KernelBinding {
  readonly name: string;
  readonly index: number;
  readonly kind: BindingKind;
  readonly type: string;
}

export interface StructLayout {
  readonly fields: readonly { name: string; type: 'u32' | 'i32' | 'f32'; offset: number }[];
  /** Bytes. */
  readonly size: number;
}

export interface Kernel {
  /** `family/name`: the label in errors and profiles. */
  readonly label: string;
  readonly code: string;
  readonly bindings: readonly KernelBinding[];
  readonly structs: ReadonlyMap<string, StructLayout>;
}

const KERNEL_LINE = /^\/\/ kernel: (\w+)[^\n]*$/gm;
const BINDING = /@group\(0\)\s*@binding\((\d+)\)\s*var<(uniform|storage(?:,\s*(read|read_write))?)>\s*(\w+)\s*:\s*([^;]+);/g;
const STRUCT = /struct\s+(\w+)\s*\{([^}]*)\}/g;
const FIELD = /(\w+)\s*:\s*([\w<>]+)\s*,?/g;

/** Splits the text of one shader file into its kernels. `includes` maps the names of `// include:` lines to their text. */
export function kernelFamily<Name extends string>(
  family: string,
  source: string,
  names: readonly Name[],
  includes: Readonly<Record<string, string>> = {},
): Record<Name, Kernel> {
  const marks = [...source.matchAll(KERNEL_LINE)];
  const preamble = source.slice(0, marks[0]?.index ?? source.length);
  const found = new Map<string, Kernel>();
  marks.forEach((mark, i) => {
    const body = source.slice(mark.index, marks[i + 1]?.index ?? source.length);
    const text = `${preamble}\n${body}`;
    const included = [...text.matchAll(/^\/\/ include: (\w+)$/gm)].map(([, name]) => {
      const part = includes[name!];
      if (part === undefined) throw new Error(`shaders/${family}.wgsl includes "${name}", which was not given`);
      return part;
    });
    const code = [...included, text].join('\n');
    found.set(mark[1]!, parseKernel(`${family}/${mark[1]}`, code));
  });
  const missing = names.filter((name) => !found.has(name));
  const extra = [...found.keys()].filter((name) => !names.includes(name as Name));
  if (missing.length || extra.length) {
    throw new Error(`shaders/${family}.wgsl: missing kernels [${missing.join(', ')}], unexpected [${extra.join(', ')}]`);
  }
  return Object.fromEntries(found) as Record<Name, Kernel>;
}

function parseKernel(label: string, code: string): Kernel {
  const plain = code.replace(/\/\/[^\n]*/g, '');
  const structs = new Map<string, StructLayout>();
  for (const [, name, body] of plain.matchAll(STRUCT)) {
    const fields = [...body!.matchAll(FIELD)].map(([, field, type], i) => ({ name: field!, type: type as 'u32', offset: i * 4 }));
    structs.set(name!, { fields, size: Math.ceil((fields.length * 4) / 16) * 16 });
  }
  const bindings: KernelBinding[] = [];
  for (const [, index, space, access, name, type] of plain.matchAll(BINDING)) {
    const kind: BindingKind = space === 'uniform' ? 'uniform' : ((access ?? 'read') as BindingKind);
    bindings.push({ name: name!, index: Number(index), kind, type: type!.trim() });
  }
  for (const { name, kind, type } of bindings) {
    if (kind !== 'uniform') continue;
    const struct = structs.get(type);
    if (!struct) throw new Error(`${label}: uniform ${name} needs a struct of scalars, found ${type}`);
    const odd = struct.fields.find((field) => !['u32', 'i32', 'f32'].includes(field.type));
    if (odd) throw new Error(`${label}: uniform field ${type}.${odd.name} must be u32, i32 or f32`);
  }
  return { label, code, bindings, structs };
}

export type ScalarValues = Readonly<Record<string, number>>;

/** Packs named scalars in the order of the WGSL struct; an unknown or missing name is an error. */
export function packStruct(label: string, layout: StructLayout, values: ScalarValues): ArrayBuffer {
  const bytes = new ArrayBuffer(layout.size);
  const view = new DataView(bytes);
  for (const { name, type, offset } of layout.fields) {
    const value = values[name];
    if (value === undefined) throw new Error(`${label}: no value for parameter "${name}"`);
    if (type === 'f32') view.setFloat32(offset, value, true);
    else if (type === 'i32') view.setInt32(offset, value, true);
    else view.setUint32(offset, value, true);
  }
  const unknown = Object.keys(values).filter((name) => !layout.fields.some((field) => field.name === name));
  if (unknown.length) throw new Error(`${label}: no parameter named ${unknown.join(', ')}`);
  return bytes;
}

export type Overrides = Readonly<Record<string, number>>;

export interface CompiledKernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Compiles each (kernel, overrides) once per device. */
export class PipelineCache {
  private readonly compiled = new Map<string, Promise<CompiledKernel>>();

  constructor(private readonly device: GPUDevice) {}

  get(kernel: Kernel, overrides: Overrides = {}): Promise<CompiledKernel> {
    const key = `${kernel.label} ${JSON.stringify(overrides)}`;
    let entry = this.compiled.get(key);
    if (!entry) {
      entry = this.compile(kernel, overrides);
      this.compiled.set(key, entry);
    }
    return entry;
  }

  private async compile(kernel: Kernel, overrides: Overrides): Promise<CompiledKernel> {
    const { device } = this;
    const module = device.createShaderModule({ label: kernel.label, code: kernel.code });
    const layout = device.createBindGroupLayout({
      label: kernel.label,
      entries: kernel.bindings.map(({ index, kind }) => ({
        binding: index,
        visibility: 4, // GPUShaderStage.COMPUTE
        buffer: { type: kind === 'uniform' ? 'uniform' : kind === 'read' ? 'read-only-storage' : 'storage' },
      })),
    });
    try {
      const pipeline = await device.createComputePipelineAsync({
        label: kernel.label,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: 'main', constants: { ...overrides } },
      });
      return { pipeline, layout };
    } catch (error) {
      const { messages } = await module.getCompilationInfo();
      const detail = messages.map((m) => `${m.lineNum}:${m.linePos} ${m.message}`).join('\n');
      throw new Error(`shader ${kernel.label} did not compile: ${detail || String(error)}`, { cause: error });
    }
  }
}
