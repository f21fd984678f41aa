/** The version of package.json, which a run record names. */
export const APP_VERSION = '0.1.0';
