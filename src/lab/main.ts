import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { Lab } from './lab.svelte.ts';
import { NotebookDesk } from './notebook/desk.svelte.ts';
import { Shell } from './shell/shell.svelte.ts';

const shell = new Shell(location.href);
const lab = new Lab(new URL(import.meta.env.BASE_URL, document.baseURI).href, new URL(shell.whole).searchParams, shell.preferences);
const desk = new NotebookDesk(lab);
void desk.openAddress(location.hash);
addEventListener('hashchange', () => {
  shell.follow(location.hash);
  void desk.openAddress(location.hash);
});
document.addEventListener('visibilitychange', () => document.hidden && void desk.saveNow());
mount(App, { target: document.getElementById('app')!, props: { lab, desk, shell } });
