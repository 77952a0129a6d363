// The declarations of the code that the build inserts before page.js and worker.js. Editors and tsc use
// this file, but browsers do not.

/** The panels of the notebook, by name. */
declare const PANELS: Record<string, { render(host: { model: unknown; el: HTMLElement }): () => void }>;
declare function loadPyodide(options: object): Promise<any>;
declare function _createPyodideModule(options: object): Promise<unknown>;
