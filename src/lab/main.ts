import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { Lab } from './lab.svelte.ts';

const lab = new Lab(new URL(import.meta.env.BASE_URL, document.baseURI).href, new URLSearchParams(location.search));
mount(App, { target: document.getElementById('app')!, props: { lab } });
