/**
 * Measures of how close two texts are, each from 0 to 1 and 1 for equal texts. Words are what white space separates. The formulas are
 * those of the Python references, which tests/rft/graders compare with: RapidFuzz's `ratio` (an edit distance without substitution,
 * which the Levenshtein packages don't compute), sacreBLEU, NLTK's GLEU and Google's ROUGE-L.
 */

export const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

/** Words as small integers; a word that the reference lacks is -1. */
function byReference(input: readonly string[], reference: readonly string[]): [number[], number[]] {
  const ids = new Map<string, number>();
  for (const word of reference) if (!ids.has(word)) ids.set(word, ids.size);
  return [input.map((word) => ids.get(word) ?? -1), reference.map((word) => ids.get(word)!)];
}

/**
 * Length of the longest common subsequence, by Hyyrö's bit vectors: bit i of `open` says that reference item i is not matched yet.
 * Time is input x reference / 64.
 */
function commonLength(input: readonly string[], reference: readonly string[]): number {
  const places = new Map<string, bigint>();
  reference.forEach((item, i) => places.set(item, (places.get(item) ?? 0n) | (1n << BigInt(i))));
  const all = (1n << BigInt(reference.length)) - 1n;
  let open = all;
  for (const item of input) {
    const match = open & (places.get(item) ?? 0n);
    if (match !== 0n) open = ((open + match) | (open - match)) & all;
  }
  const left = open.toString(2).replaceAll('0', '').length;
  return reference.length - left;
}

/** 2 M / (n + m) with M the longest common subsequence of the characters. */
export function fuzzyMatch(input: string, reference: string): number {
  const [a, b] = [[...input], [...reference]];
  return (2 * commonLength(a, b)) / (a.length + b.length);
}

/** F1 of the longest common subsequence of words: P = M / n, R = M / m, 2 P R / (P + R). */
export function rougeL(input: string, reference: string): number {
  const [a, b] = [words(input), words(reference)];
  return (2 * commonLength(a, b)) / (a.length + b.length);
}

const MAX_ORDER = 4;

/** By order 1 to 4: n-grams that both have, each counted at most as often as in the reference, and those of each side. */
function ngrams(input: string, reference: string) {
  const [a, b] = byReference(words(input), words(reference));
  return Array.from({ length: MAX_ORDER }, (_, i) => {
    const n = i + 1;
    const counts = new Map<string, number>();
    for (let at = 0; at + n <= b.length; at++) {
      const gram = b.slice(at, at + n).join();
      counts.set(gram, (counts.get(gram) ?? 0) + 1);
    }
    let common = 0;
    for (let at = 0; at + n <= a.length; at++) {
      const slice = a.slice(at, at + n);
      if (slice.includes(-1)) continue;
      const gram = slice.join();
      const left = counts.get(gram) ?? 0;
      if (left === 0) continue;
      common++;
      counts.set(gram, left - 1);
    }
    return { common, input: Math.max(0, a.length - i), reference: Math.max(0, b.length - i) };
  });
}

/**
 * Sentence BLEU: min(1, exp(1 - m / n)) times the geometric mean of the n-gram precisions, over the orders that the input is long
 * enough for; the k-th precision of zero counts as 1 / (2^k total) (sacreBLEU's "exp" smoothing and effective order).
 */
export function bleu(input: string, reference: string): number {
  const orders = ngrams(input, reference).filter((order) => order.input > 0);
  const first = orders[0];
  if (!first || orders.every(({ common }) => common === 0)) return 0;
  let halved = 1;
  const logs = orders.map(({ common, input: total }) => Math.log((common || 1 / (halved *= 2)) / total));
  const brevity = Math.min(0, 1 - first.reference / first.input);
  return Math.exp(brevity + logs.reduce((a, b) => a + b, 0) / orders.length);
}

/** Google BLEU: common n-grams of orders 1 to 4 over those of the longer side. */
export function gleu(input: string, reference: string): number {
  const sum = (key: 'common' | 'input' | 'reference') => orders.reduce((total, order) => total + order[key], 0);
  const orders = ngrams(input, reference);
  const longer = Math.max(sum('input'), sum('reference'));
  return longer === 0 ? 0 : sum('common') / longer;
}

/** Cosine of the vectors of word counts. */
export function cosine(input: string, reference: string): number {
  const [a, b] = [words(input), words(reference)].map((list) => {
    const counts = new Map<string, number>();
    for (const word of list) counts.set(word, (counts.get(word) ?? 0) + 1);
    return counts;
  }) as [Map<string, number>, Map<string, number>];
  const squares = (counts: Map<string, number>) => [...counts.values()].reduce((total, count) => total + count * count, 0);
  const dot = [...a].reduce((total, [word, count]) => total + count * (b.get(word) ?? 0), 0);
  return dot === 0 ? 0 : Math.min(1, dot / Math.sqrt(squares(a) * squares(b)));
}
