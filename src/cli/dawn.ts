/**
 * WebGPU in Node, through Dawn (npm package `webgpu`, or the addon that DAWN_NODE names).
 * A machine without a graphics driver computes on SwiftShader, which comes with any Chromium; it is installed where it is missing.
 */
import { createRequire } from 'node:module';
import { ensureDriver, softwareDriver } from '../../scripts/system/driver.mjs';
import { LabError } from '../base/errors.ts';
import { isSoftware } from '../gpu/device.ts';

interface Dawn {
  create(options: string[]): GPU;
  globals: Record<string, unknown>;
}

let instance: Promise<GPU> | undefined;

/** The one WebGPU entry of this process; Dawn options come from DAWN_OPTIONS, separated by semicolons. */
export function nodeGpu(): Promise<GPU> {
  instance ??= load();
  return instance;
}

async function load(): Promise<GPU> {
  offerSoftwareDriver();
  const dawn = await loadDawn();
  Object.assign(globalThis, dawn.globals);
  const options = (process.env.DAWN_OPTIONS ?? '').split(';').filter(Boolean);
  const gpu = dawn.create(options);
  const adapter = await gpu.requestAdapter();
  if (adapter && isSoftware(adapter)) pollByTimer();
  return gpu;
}

/**
 * While work is under way Dawn looks for its end in one setImmediate after the other, which keeps a core busy: for nothing next to a
 * graphics card, but a software adapter computes on these cores. Dawn's own calls, the ones with a native function, become timers.
 */
function pollByTimer(): void {
  globalThis.setImmediate = new Proxy(setImmediate, {
    apply(target, self, [callback, ...args]: Parameters<typeof setImmediate>) {
      const native = Function.prototype.toString.call(callback).includes('[native code]');
      return native ? setTimeout(callback, 1, ...args) : Reflect.apply(target, self, [callback, ...args]);
    },
  });
}

async function loadDawn(): Promise<Dawn> {
  const addon = process.env.DAWN_NODE;
  try {
    if (addon) return createRequire(import.meta.url)(addon) as Dawn;
    return (await import('webgpu')) as unknown as Dawn;
  } catch (error) {
    throw new LabError(
      'dawn-missing',
      `WebGPU for Node could not be loaded: ${error instanceof Error ? error.message : String(error)}`,
      addon ? 'Check that DAWN_NODE names a dawn.node built for this platform.' : 'Run `npm ci`, or let DAWN_NODE name a dawn.node.',
      { cause: error },
    );
  }
}

/** Adds SwiftShader to the drivers that Vulkan finds; a hardware adapter, where there is one, still comes first. */
function offerSoftwareDriver(): void {
  const { env } = process;
  if (process.platform !== 'linux' || env.VK_ICD_FILENAMES || env.VK_DRIVER_FILES) return;
  env.XDG_RUNTIME_DIR ??= '/tmp'; // Vulkan's loader complains on every start without one.
  ensureDriver();
  const driver = softwareDriver();
  if (driver) env.VK_ADD_DRIVER_FILES ??= driver;
}
