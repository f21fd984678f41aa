/** The places of the lab: their addresses (`#/ppo`), names and pages. All but the first screen load when they are first visited. */
import type { Component } from 'svelte';
import type { Lab } from '../lab.svelte.ts';
import type { NotebookDesk } from '../notebook/desk.svelte.ts';
import type { IconName } from '../parts/icons.ts';
import Start from '../stages/start/Stage.svelte';
import type { Shell } from './shell.svelte.ts';

/** What every page of a place is given. */
export interface StageProps {
  readonly lab: Lab;
  readonly desk: NotebookDesk;
  readonly shell: Shell;
}

type Page = Component<StageProps>;

interface Place {
  readonly id: string;
  readonly title: string;
  readonly icon: IconName;
  /** What one does here, in a sentence below the title; the first screen brings its own head. */
  readonly summary: string;
  readonly load: () => Promise<{ readonly default: Page }>;
  /** It shows the run. */
  readonly ofRun?: true;
}

const START = { id: 'start', title: 'Start', icon: 'start', page: Start as Page } as const;

/** The boxes of the paper's Figure 1, in the order of a run. */
export const STAGE_ROUTES = [
  {
    id: 'data',
    title: 'Data',
    icon: 'data',
    summary: 'The questions, the model that answers them, and the rule that says which answers are right.',
    load: () => import('../stages/data/Stage.svelte'),
    ofRun: true,
  },
  {
    id: 'augment',
    title: 'Augment',
    icon: 'augment',
    summary: 'Each training question in other words, with its options shuffled.',
    load: () => import('../stages/augment/Stage.svelte'),
    ofRun: true,
  },
  {
    id: 'synthesize',
    title: 'Synthesise',
    icon: 'synthesize',
    summary: 'The model tries each training question until it is right; its first right solution is kept.',
    load: () => import('../stages/synthesize/Stage.svelte'),
    ofRun: true,
  },
  {
    id: 'sft',
    title: 'SFT',
    icon: 'sft',
    summary: 'Supervised fine-tuning: a small adapter learns from the solutions that were kept.',
    load: () => import('../stages/sft/Stage.svelte'),
    ofRun: true,
  },
  {
    id: 'retrieve',
    title: 'Retrieve',
    icon: 'retrieve',
    summary: 'Similar training questions, answered, stand before the question in the prompt.',
    load: () => import('../stages/retrieve/Stage.svelte'),
    ofRun: true,
  },
  {
    id: 'reward',
    title: 'Reward',
    icon: 'reward',
    summary: 'What a response earns: for its answer, and for the steps that lead there.',
    load: () => import('../stages/reward/Stage.svelte'),
    ofRun: true,
  },
  {
    id: 'ppo',
    title: 'PPO',
    icon: 'ppo',
    summary: 'Reinforcement: the model answers again and again, and what is rewarded becomes likelier.',
    load: () => import('../stages/ppo/Stage.svelte'),
    ofRun: true,
  },
  {
    id: 'compare',
    title: 'Compare',
    icon: 'compare',
    summary: 'Before and after, this run and earlier ones, and the tables of the paper.',
    load: () => import('../stages/compare/Stage.svelte'),
    ofRun: true,
  },
] as const satisfies readonly Place[];

export const OTHER_ROUTES = [
  {
    id: 'gallery',
    title: 'Gallery',
    icon: 'gallery',
    summary: 'The notebooks that the lab brings along: each shows one thing, and says what to look at.',
    load: () => import('../stages/gallery/Stage.svelte'),
  },
  {
    id: 'notebook',
    title: 'Notebook',
    icon: 'notebook',
    summary: 'The experiment as a document: text, stages and settings, to edit, keep and share.',
    load: () => import('../stages/notebook/Stage.svelte'),
    ofRun: true,
  },
  {
    id: 'settings',
    title: 'Settings',
    icon: 'settings',
    summary: 'What the lab runs on, and how it behaves in this browser.',
    load: () => import('../stages/settings/Stage.svelte'),
  },
  {
    id: 'help',
    title: 'Help',
    icon: 'help',
    summary: 'What the lab does, and how to work it.',
    load: () => import('../stages/help/Stage.svelte'),
  },
] as const satisfies readonly Place[];

export const ROUTES = [START, ...STAGE_ROUTES, ...OTHER_ROUTES] as const;
export type Route = (typeof ROUTES)[number];
export type RouteId = Route['id'];

/** The first screen is the address without a fragment. */
export const hrefOf = (id: RouteId): string => `#/${id}`;

/** What a fragment names: a place, if any, and something in it (`#/help/kl`). */
export const readHash = (hash: string): { readonly route: Route | undefined; readonly named: string | undefined } => {
  const [id, named] = hash.replace(/^#\/?/, '').split('/');
  return { route: id === '' ? START : ROUTES.find((route) => route.id === id), named };
};
