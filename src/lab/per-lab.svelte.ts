import type { Lab } from './lab.svelte.ts';

/** One object for each lab, made when it is first asked for: what a reader has entered outlives the place that shows it. */
export function perLab<T extends object>(make: (lab: Lab) => T): (lab: Lab) => T {
  const made = new WeakMap<Lab, T>();
  return (lab) => {
    let found = made.get(lab);
    if (!found) {
      // A root of its own, since what a component derives ends with the component.
      $effect.root(() => {
        found = make(lab);
      });
      made.set(lab, found!);
    }
    return found!;
  };
}
