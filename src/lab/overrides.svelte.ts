/** Settings beside the notebook's: those of the address, and those that the reader switches on the page. */
import { type Config, type ConfigValue, getPath, setPaths } from '../rft/config.ts';

export type PathValue = readonly [path: string, value: ConfigValue];

export class Overrides {
  private address = $state.raw<readonly PathValue[]>([]);
  private switched = $state.raw<readonly PathValue[]>([]);

  readonly none = $derived.by(() => this.address.length + this.switched.length === 0);

  /** @throws InputError for what the config can't have. */
  applyTo(config: Config): Config {
    return setPaths(config, [...this.address, ...this.switched]);
  }

  readAddress(settings: readonly PathValue[]): void {
    this.address = settings;
  }

  /** A notebook has arrived, and `take` puts it into use. @throws InputError where it can't have them; then they are dropped. */
  checkWith(config: Config, take: () => void): void {
    const { address, switched } = this;
    this.clear();
    take();
    setPaths(config, [...address, ...switched]);
    this.address = address;
    this.switched = switched;
  }

  /**
   * Settings for the next run; one that the notebook and the address have already is none.
   * @throws InputError for what the config can't have; then nothing of it is taken.
   */
  set(settings: readonly PathValue[], notebook: Config): void {
    const before = setPaths(notebook, this.address);
    const next = [...this.switched.filter(([path]) => settings.every(([set]) => set !== path)), ...settings];
    const after = setPaths(before, next);
    this.switched = next.filter(([path]) => JSON.stringify(getPath(before, path)) !== JSON.stringify(getPath(after, path)));
  }

  /** What was switched on the page. */
  get chosen(): readonly PathValue[] {
    return this.switched;
  }

  /** Back to what was switched earlier beside the same notebook. */
  restore(switched: readonly PathValue[]): void {
    this.switched = switched;
  }

  /** Another notebook is chosen: what was switched beside the last one is not of this one. */
  leaveNotebook(): void {
    this.switched = [];
  }

  clear(): void {
    this.address = [];
    this.switched = [];
  }
}
