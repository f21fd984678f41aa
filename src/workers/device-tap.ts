/**
 * navigator.gpu, seen through: it hands on every request and remembers the last device that was opened, so that a test can take it
 * away without the engine knowing.
 */
export class DeviceTap {
  private device: GPUDevice | undefined;
  /** What to open devices through; undefined where there is no WebGPU. */
  readonly gpu: GPU | undefined;

  constructor(gpu: GPU | undefined) {
    if (!gpu) return;
    const requestAdapter: GPU['requestAdapter'] = async (options) => {
      const adapter = await gpu.requestAdapter(options);
      if (!adapter) return null;
      const requestDevice = adapter.requestDevice.bind(adapter);
      adapter.requestDevice = async (descriptor) => (this.device = await requestDevice(descriptor));
      return adapter;
    };
    this.gpu = new Proxy(gpu, {
      get: (target, key) => (key === 'requestAdapter' ? requestAdapter : (Reflect.get(target, key, target) as unknown)),
    });
  }

  loseDevice(): void {
    this.device?.destroy();
  }
}
