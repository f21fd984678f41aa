import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { Lab } from './lab.svelte.ts';
import { NotebookDesk } from './notebook/desk.svelte.ts';

const lab = new Lab(new URL(import.meta.env.BASE_URL, document.baseURI).href, new URLSearchParams(location.search));
const desk = new NotebookDesk(lab);
void desk.openAddress(location.hash);
addEventListener('hashchange', () => void desk.openAddress(location.hash));
document.addEventListener('visibilitychange', () => document.hidden && void desk.saveNow());
mount(App, { target: document.getElementById('app')!, props: { lab, desk } });
