import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { frozenQuestions } from '../../scripts/freeze-questions.ts';
import { Seed } from '../../src/base/random.ts';
import { LABELS, parseDataset } from '../../src/rft/dataset.ts';
import { evaluate } from '../../src/rft/tasks/expression.ts';
import {
  extractAnswer,
  formatFewShotPrompt,
  formatForeignResponse,
  formatPrompt,
  formatResponse,
  splitSteps,
} from '../../src/rft/tasks/format.ts';
import { problemKey } from '../../src/rft/tasks/kinds.ts';
import { formatNumber } from '../../src/rft/tasks/numbers.ts';
import { taskById, taskOfQuestion, TASKS } from '../../src/rft/tasks/registry.ts';
import { shortcutBaselines } from '../../src/rft/tasks/shortcuts.ts';
import { FLAWS, PHRASINGS, SPLITS, type Phrasing, type Split, type Task, type TaskQuestion } from '../../src/rft/tasks/task.ts';

function questions(task: Task, count: number, phrasing?: Phrasing, split?: Split): TaskQuestion[] {
  return Array.from({ length: count }, (_, i) => {
    const options = { phrasing: phrasing ?? PHRASINGS[i % PHRASINGS.length]! };
    return task.generate(Seed.of(11).derive(task.id).derive(i).random(), split ? { ...options, split } : options);
  });
}

const option = (question: TaskQuestion, letter: string) => question.choices.text[LABELS.findIndex((other) => other === letter)];

describe.each(TASKS)('$id $title', (task) => {
  const sample = questions(task, 200);

  test('the same random state gives the same question', () => {
    expect(questions(task, 40)).toEqual(sample.slice(0, 40));
  });

  test('every subtask occurs in every phrasing', () => {
    const seen = new Set(sample.map(({ details }) => `${details.subtask} ${details.phrasing}`));
    expect(seen.size).toBe(task.subtasks.length * PHRASINGS.length);
  });

  test('options are four different texts, and the solution names the key', () => {
    for (const question of sample) {
      expect(new Set(question.choices.text).size).toBe(4);
      expect(question.choices.text).toHaveLength(4);
      const { steps, answer } = task.solve(question);
      expect(answer).toBe(question.answerKey);
      expect(steps).toHaveLength(question.details.difficulty);
    }
  });

  test('every step of a solution is right, a repetition and a wrong number are not', () => {
    for (const question of sample) {
      const { steps } = task.solve(question);
      steps.forEach((step, i) => {
        const before = steps.slice(0, i);
        expect(task.checkStep(question, before, step), step).toBe('right');
        const again = step.replace(/^Step \d+/, `Step ${steps.length + 1}`);
        expect(task.checkStep(question, steps, again)).toBe('wrong');
        expect(
          task.checkStep(
            question,
            before,
            step.replace(/\d(?=\D*$)/, (digit) => String((Number(digit) + 1) % 10)),
          ),
        ).toBe('wrong');
        expect(task.checkStep(question, [...before, 'x'], step)).toBe('unparseable');
        expect(task.checkStep(question, before, step.replace('=', ' is '))).not.toBe('right');
      });
      for (const noise of ['', 'Step 1:', 'Step 1: 3', 'Answer: A', 'Step 1: F==3', 'Step 1: F=(m=3=3']) {
        expect(task.checkStep(question, [], noise)).toBe('unparseable');
      }
    }
  });

  test('a stem is read by one template only, back to the quantities it was made of', () => {
    for (const question of sample) {
      const problem = task.parseStem(question.question)!;
      expect(problem.subtask).toBe(question.details.subtask);
      for (const other of TASKS) if (other !== task) expect(other.parseStem(question.question)).toBeUndefined();
      for (const phrasing of PHRASINGS) {
        const restated = task.restate(question, phrasing, Seed.of(3).random());
        expect(restated.details?.phrasing).toBe(phrasing);
        expect(problemKey(task.id, task.parseStem(restated.question)!)).toBe(problemKey(task.id, problem));
        expect(task.solve(restated)).toEqual(task.solve(question));
      }
    }
    expect(() => task.solve({ ...sample[0]!, question: 'What is the time?' })).toThrow(task.id);
  });

  test('a problem has seven wordings or more, none of C, and each is read back to the same quantities', () => {
    for (const question of sample) {
      const problem = task.parseStem(question.question)!;
      const wordings = task.wordings(problem);
      expect(wordings.length).toBeGreaterThanOrEqual(7);
      expect(new Set(wordings).size).toBe(wordings.length);
      expect(wordings.includes(question.question)).toBe(question.details.phrasing !== 'C');
      for (const stem of wordings) {
        expect(task.parseStem(stem), stem).toEqual(problem);
        for (const other of TASKS) if (other !== task) expect(other.parseStem(stem), stem).toBeUndefined();
        expect(task.solve({ ...question, question: stem })).toEqual(task.solve(question));
      }
    }
    expect(() => task.wordings({ subtask: 'none', quantities: {} })).toThrow(`${task.id} has no subtask "none"`);
  });

  test('a frozen record read back can be solved and checked', async () => {
    const { questions: records } = await parseDataset(task.id, sample.map((question) => JSON.stringify(question)).join('\n'));
    records.forEach((record, i) => {
      const { steps, answer } = taskOfQuestion(record)!.solve(record);
      expect(answer).toBe(sample[i]!.answerKey);
      expect(task.checkStep(record, [], steps[0]!)).toBe('right');
    });
    expect(taskOfQuestion({ ...records[0]!, details: {} })).toBeUndefined();
  });

  test('each flaw spoils what it names and nothing else', () => {
    sample.forEach((question, i) => {
      const right = task.solve(question);
      for (const flaw of FLAWS) {
        const { steps, answer, labels } = task.flawed(question, flaw, Seed.of(i).derive(flaw).random());
        expect(labels).toHaveLength(steps.length);
        expect(labels).not.toContain('unparseable');
        expect(answer === question.answerKey).toBe(flaw === 'lucky');
        expect(labels.includes('wrong')).toBe(flaw !== 'wrong_letter');
        if (flaw === 'wrong_letter') expect(steps).toEqual(right.steps);
        if (flaw === 'slip') expect(labels.slice(0, -1)).not.toContain('wrong');
        if (flaw === 'wrong_intermediate' && steps.length > 1 && labels.at(-2) === 'wrong') expect(labels.at(-1)).toBe('wrong');
      }
    });
  });

  test('each option rank and letter is right about equally often, and no shortcut works', () => {
    const many = questions(task, 900, 'A');
    for (const letter of LABELS) {
      expect(many.filter(({ answerKey }) => answerKey === letter).length / many.length).toBeGreaterThan(0.2);
    }
    for (const [shortcut, accuracy] of Object.entries(shortcutBaselines(many, many))) {
      expect(accuracy, shortcut).toBeGreaterThan(0.15);
      expect(accuracy, shortcut).toBeLessThan(0.35);
    }
  });

  test('frozen files are what the generator makes, balanced, and no problem occurs twice', () => {
    const frozen = frozenQuestions(task);
    const keys: string[] = [];
    for (const split of ['train', 'test'] as const) {
      const file = readFileSync(new URL(`../../public/data/${task.id}.${split}.jsonl`, import.meta.url), 'utf8');
      expect(file).toBe(frozen[split].map((question) => `${JSON.stringify(question)}\n`).join(''));
      expect(frozen[split]).toHaveLength(100);
      for (const letter of LABELS) expect(frozen[split].filter(({ answerKey }) => answerKey === letter)).toHaveLength(25);
      keys.push(...frozen[split].map((question) => problemKey(task.id, task.parseStem(question.question)!)));
    }
    expect(new Set(keys).size).toBe(200);
    expect(frozen.train.every(({ details }) => details.phrasing === 'A')).toBe(true);
    for (const phrasing of PHRASINGS) {
      expect(frozen.test.filter(({ details }) => details.phrasing === phrasing).length).toBeGreaterThanOrEqual(33);
    }
    for (const [shortcut, accuracy] of Object.entries(shortcutBaselines(frozen.test, frozen.train))) {
      expect(accuracy, shortcut).toBeLessThan(0.36);
    }
  });

  test('the splits share no problem', () => {
    const owner = new Map<string, Split>();
    for (const split of SPLITS) {
      for (const question of questions(task, 300, 'A', split)) {
        const key = problemKey(task.id, task.parseStem(question.question)!);
        expect(owner.get(key) ?? split).toBe(split);
        owner.set(key, split);
      }
    }
  });
});

/** Worked by hand, so that the generator's own solver is not its only judge. */
test.each([
  ['T1', 'V39A has fitness 0.6, D40E 1.5. What fitness is expected of V39A with D40E?', 'F=a*b=0.6*1.5=0.9'],
  ['T1', 'V39A has fitness 0.6, D40E 1.5, G41L 3. What fitness is expected of all?', 'F=p*c=0.9*3=2.7'],
  ['T1', 'V39A has fitness 0.6, D40E 1.5, V39A with D40E 1.8. What is the epistasis as a ratio?', 'e=w/p=1.8/0.9=2'],
  ['T1', 'Find the stability in kcal/mol with V39A and G41L if V39A costs 0.8, G41L 2.1 of 5.6.', 'G=w-d=5.6-2.9=2.7 kcal/mol'],
  ['T1', 'Find the fitness of V54F if its reads go from 40 to 240, of wild type from 50 to 100.', 'F=r/w=6/2=3'],
  ['T2', 'How many C atoms has the acid that gives OH-CH2-CH2-CO-O-CH2-CH3?', 'n=OH+CH2+CH2+CO=0+1+1+1=3'],
  ['T2', 'How many C atoms has the acid that gives CH3-NH-CO-CH2-CH2-CN?', 'n=CO+CH2+CH2+CN=1+1+1+1=4'],
  ['T2', 'Find how many C atoms the amine of CH3-CO-NH-CH2-CH2-CH3 has.', 'n=CH2+CH2+CH3=1+1+1=3'],
  ['T2', 'Find the molar mass in g/mol of the acid that gives H2O and 88 g/mol with ethanol.', 'M=s-ethanol=106-46=60 g/mol'],
  ['T2', 'Find the yield in % of a route with steps of 80, 70 and 30 %.', 'Y=p*c/100=56*30/100=16.8 %'],
  ['T3', 'What is the molar mass of CaCO3 in g/mol?', 'M=Ca+C+3*O=40+12+3*16=100 g/mol'],
  ['T3', 'How many mol are in 132 g of CO2?', 'n=m/M=132/44=3 mol'],
  ['T3', '2 L of 6 mol/L is made up to 4 L. What is the molarity in mol/L?', 'd=n/W=12/4=3 mol/L'],
  ['T4', 'How many H atoms are in CH3-CH2-O-CH2-CH3?', 'H=CH3+CH2+O+CH2+CH3=3+2+0+2+3=10'],
  ['T4', 'How many hydrogen bond donors are in NH2-CH2-COOH?', 'D=NH2+CH2+COOH=1+0+1=2'],
  ['T4', 'How many heavy atoms are in CN-CH2-CHO?', 'N=CN+CH2+CHO=2+1+2=5'],
  ['T4', 'How many atoms are in CH3-CH2-OH?', 'T=CH3+CH2+OH=4+3+2=9'],
  ['T5', 'From rest, a car has acceleration 4 m/s2 for 5 s. Find the distance in m.', 's=d/2=100/2=50 m'],
  ['T5', 'A car of 6 kg has speed 10 m/s. What is the kinetic energy in J?', 'E=q/2=600/2=300 J'],
  ['T5', 'A resistor of 6 ohm is on 12 V. What is the power in W?', 'P=U*I=12*2=24 W'],
  ['T6', 'Find the density in g/cm3 of Al if 4 cm3 have a mass of 10.8 g.', 'd=m/V=10.8/4=2.7 g/cm3'],
  ['T6', 'Al has a modulus of 70 GPa. What is the strain in 1/1000 if 840 N act on 6 mm2?', 'e=s/E=140/70=2 1/1000'],
  ['T6', 'Cu expands by 17 µm per m and K. What is the expansion in µm of 2 m at 30 K more?', 'x=b*T=34*30=1020 µm'],
  ['T7', 'Atoms diffuse with 3 nm2/s. What is the mean x2 in nm2 after 8 s?', 'q=2*D*t=2*3*8=48 nm2'],
  ['T7', 'Find the diffusivity in nm2/s if the mean x2 is 120 nm2 after 5 s.', 'D=r/2=24/2=12 nm2/s'],
  ['T7', 'Over 4 nm, c falls by 20 per nm3. What is the flux per nm2 and s at 3 nm2/s?', 'J=D*g=3*5=15 1/nm2/s'],
  ['T7', 'Find how many decades a barrier of 2.2 eV costs Cu in Cu at 1000 K.', 'n=Q/h=2.2/0.2=11'],
  ['T7', 'Find how many decades of 0.12 eV Al in Al with 1.5 eV is behind C in Fe with 0.8 eV.', 'n=d/h=0.7/0.12=5.8'],
  ['T8', 'Find the tolerance factor of SrTiO3 with Sr 144, Ti 61, O 140 pm.', 't=p/q/1.41=284/201/1.41=1.00'],
  ['T8', 'Find the octahedral factor of SrTiO3 with Ti 61 pm and O 140 pm.', 'u=b/x=61/140=0.44'],
])('%s: %s', (id, stem, lastStep) => {
  const task = taskById(id);
  const made = questions(task, 400).find((question) => question.details.subtask === task.parseStem(stem)!.subtask)!;
  const value = /=([\d.]+)[^=]*$/.exec(lastStep)![1]!;
  const question: TaskQuestion = { ...made, question: stem, choices: { ...made.choices, text: ['a', 'b', value, 'd'] } };
  const { steps, answer } = task.solve(question);
  expect(steps.at(-1)).toBe(`Step ${steps.length}: ${lastStep}`);
  expect(answer).toBe('C');
});

test.each([
  ['which-acid', 'Which acid gives CH3-O-CO-CH2-CH3?', 'propanoic'],
  ['which-acid', 'Which acid gives CH3-CO-NH-CH2-CH2-OH?', 'ethanoic'],
  ['which-alcohol', 'Which alcohol gives CH3-CO-O-CH2-CH2-CH2-CH3?', 'butanol'],
  ['which-alcohol', 'Which alcohol gives CH3-O-CO-CH2-CH2-CH3?', 'methanol'],
])('T2 %s: %s %s', (subtask, stem, name) => {
  const task = taskById('T2');
  const made = questions(task, 100).find(({ details }) => details.subtask === subtask)!;
  const question = { ...made, question: stem };
  expect(option(question, task.solve(question).answer)).toBe(name);
});

test('SrTiO3 is cubic, BaTiO3 hexagonal by its factor, CaCeO3 tilted', () => {
  const task = taskById('T8');
  const made = questions(task, 100).find(({ details }) => details.subtask === 'structure')!;
  const ask = (compound: string, bonds: string) => ({ ...made, question: `Find the expected structure of ${compound} with ${bonds}.` });
  const structure = (question: TaskQuestion) => option(question, task.solve(question).answer);
  expect(structure(ask('SrTiO3', 'Sr-O 284 pm and Ti-O 201 pm'))).toBe('cubic');
  expect(structure(ask('BaTiO3', 'Ba-O 301 pm and Ti-O 201 pm'))).toBe('hexagonal');
  expect(structure(ask('CaCeO3', 'Ca-O 274 pm and Ce-O 227 pm'))).toBe('tilted');
});

test('a formula that only happens to give the value is wrong', () => {
  const task = taskById('T5');
  const question = { ...questions(task, 1)[0]!, question: 'A mass of 2 kg has acceleration 2 m/s2. Find the force in N.' };
  expect(task.checkStep(question, [], 'Step 1: F=m*a=2*2=4 N')).toBe('right');
  expect(task.checkStep(question, [], 'Step 1: F=a*m=2*2=4 N')).toBe('right');
  expect(task.checkStep(question, [], 'Step 1: F=m+a=2+2=4 N')).toBe('wrong');
  expect(task.checkStep(question, [], 'Step 1: F=m*a=4*1=4 N')).toBe('wrong');
  expect(task.checkStep(question, [], 'Step 1: F=m*a=2*2=4 J')).toBe('wrong');
  expect(task.checkStep(question, [], 'Step 1: F=m*k=2*2=4 N')).toBe('wrong');
});

test('answers are read from the last exact answer line', () => {
  expect(extractAnswer('Step 1: F=m*a=2*2=4 N\nAnswer: B')).toBe('B');
  expect(extractAnswer('Answer: A\nAnswer: C\n')).toBe('C');
  for (const text of ['', 'Answer: E', 'Answer: AB', 'answer: A', ' Answer: A', 'Answer: A or B', 'The Answer: A', 'Answer:A']) {
    expect(extractAnswer(text)).toBeUndefined();
  }
});

test('prompt and response are one text, and split back into steps', () => {
  const task = taskById('T5');
  const [question, first, second] = questions(task, 3) as [TaskQuestion, TaskQuestion, TaskQuestion];
  const solution = task.solve(question);
  expect(formatPrompt(question)).toMatch(/^Question: .+\nA\. .+\nB\. .+\nC\. .+\nD\. .+\nSolution:\n$/);
  const response = formatResponse(solution);
  expect(splitSteps(`${response}\n\n`)).toEqual(solution.steps);
  expect(extractAnswer(response)).toBe(question.answerKey);
  const fewShot = formatFewShotPrompt([first, second], question);
  expect(fewShot.endsWith(`Answer: ${second.answerKey}\n[End of examples]\n${formatPrompt(question)}`)).toBe(true);
  expect(formatFewShotPrompt([], question)).toBe(formatPrompt(question));
  const foreign = formatForeignResponse(solution);
  expect(extractAnswer(foreign)).toBe(question.answerKey);
  expect(splitSteps(foreign).map((step) => task.checkStep(question, [], step))).toEqual(solution.steps.map(() => 'unparseable'));
});

test('expressions follow the usual order and refuse anything else', () => {
  const names = (name: string) => (name === 'a' ? 6 : name === 'b' ? 3 : NaN);
  expect(evaluate('a-b-1', names)).toBe(2);
  expect(evaluate('a/b/2+1*4', names)).toBe(5);
  expect(evaluate('(a-b)*2', names)).toBe(6);
  expect(evaluate('a+c', names)).toBeNaN();
  for (const text of ['', '2+', '*2', '2 2', '(2', '2)', '2**2', 'a b', '1,2', '--1']) expect(evaluate(text, names)).toBeUndefined();
  fc.assert(fc.property(fc.string(), (text) => ['number', 'undefined'].includes(typeof evaluate(text, names))));
});

test('numbers round half up and stay short', () => {
  expect(formatNumber(1.005, { places: 2, keepZeros: true })).toBe('1.01');
  expect(formatNumber(1, { places: 2, keepZeros: true })).toBe('1.00');
  expect(formatNumber(20, { places: 1, keepZeros: false })).toBe('20');
  expect(formatNumber(10.8, { places: 1, keepZeros: false })).toBe('10.8');
  for (const value of [0, -1, NaN, Infinity, 9999.96, 0.04]) expect(formatNumber(value, { places: 1, keepZeros: false })).toBeUndefined();
});

test.each([
  ['T2', 'Which acid gives CH3-CH2-O-CH2-CH3?'],
  ['T2', 'Which acid gives CH3-CO-O-CO-CH3?'],
  ['T2', 'Which alcohol gives CH3-CO-CH3?'],
  ['T2', 'Find the molar mass in g/mol of the acid that gives H2O and 88 g/mol with water.'],
  ['T3', 'What is the molar mass of XeF2 in g/mol?'],
  ['T3', 'What is the molar mass of CO2x in g/mol?'],
  ['T4', 'How many atoms are in CH3-constructor-OH?'],
])('%s: a substance that the task does not know is refused: %s', (id, stem) => {
  const task = taskById(id);
  expect(() => task.solve({ ...questions(task, 1)[0]!, question: stem })).toThrow(stem);
});

test('an unknown task is named with the ones there are', () => {
  expect(() => taskById('T9')).toThrow('T9');
});
