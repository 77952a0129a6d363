// Types that the scripts of all panels share. The messages from and to the kernel are in messages.d.ts.
// Editors and tsc use this file, but browsers do not.

type Kid = Node | string | number | null | undefined | false;
type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;
type Send<FromPage> = (message: FromPage) => void;
type Choice = string | string[];

interface Props {
  class?: string;
  for?: string;
  onclick?: (event: MouseEvent) => unknown;
  onchange?: (event: Event) => unknown;
  oninput?: (event: Event) => unknown;
  [name: string]: unknown;
}

interface Tab {
  name: string;
  title: string;
  panel: HTMLElement;
  /** requests the content of the tab from the kernel */
  ask?: () => void;
  head?: HTMLElement;
  words?: HTMLElement;
}

// -- from the kernel

/** The function that handles each type of message to a page. */
type Answers<ToPage extends { type: string }> = {
  [Type in ToPage["type"]]: (
    message: Extract<ToPage, { type: Type }>,
    buffers: DataView[],
  ) => unknown;
};

interface Connection<FromPage, ToPage extends { type: string }> {
  line: HTMLElement;
  send: Send<FromPage>;
  listen(answers: Answers<ToPage>): void;
  end(): void;
}

type CellName = [id: number, column: string];
type Why = { type: "why"; name: string };
type Acceptance = { type: "option"; name: "accepted"; key: string; value: string };

interface Model {
  on(event: string, listen: (message: any, buffers: DataView[]) => void): void;
  off(event: string, listen: (message: any, buffers: DataView[]) => void): void;
  send(message: unknown): void;
  /** set where a panel runs without a notebook */
  host?: FileHost;
}

/** The sentences about an answer that is late or never arrives. */
interface HostWords {
  gone: string;
  noAnswer: string;
}

/** A page without a notebook or a folder. A browser opens its files and downloads them. */
interface FileHost {
  words: HostWords;
  /** asks the user for a table to open */
  pick: () => void;
}

interface Host {
  model: Model;
  el: HTMLElement;
}

// -- between the scripts

interface SortKey {
  name: string;
  descending: boolean;
}

/** A word in the filter: the columns to search, and whether rows with the word are excluded. */
interface FilterTerm {
  text: string;
  names: string[];
  negated: boolean;
  exact: boolean;
}

/** The texts of a paste, clear or fill: new texts for existing cells, and new rows. */
interface Block {
  cells: BlockText[];
  add: BlockRow[];
  said: string;
}

interface GridActions {
  edit?: (id: number, column: string, text: string) => void;
  block?: (block: Block) => void;
  /** called with the number of the alternative that the user chose for a rejected cell */
  offer?: (n: number, cell: CellName, text: string) => void;
  /** called when the user types or pastes texts of a new row; without it, the table takes no new rows */
  typedNew?: () => void;
  remove?: (ids: number[]) => void;
  duplicate?: (ids: number[]) => void;
  /** shows where the value of a cell comes from */
  why?: (id: number, column: string) => void;
  showFinding?: (id: number) => void;
  find?: () => void;
  moved?: () => void;
  /** called when the user selects rows; without it, the table has no check boxes */
  ticked?: () => void;
  /** called for Ctrl+Plus instead of inserting a row */
  insert?: () => void;
  /** the additional entries of the menu */
  entries?: () => { label: string; act: () => void }[];
  /** called at a second click or Enter in a cell that is not editable */
  open?: (id: number) => void;
  sort: (sorts: SortKey[]) => void;
  resized?: () => void;
  say?: (words: string) => void;
}

interface Layout {
  shown: string[];
  widths: Record<string, number>;
  sorts: SortKey[];
  frozen: boolean;
  /** the table to which the sort order applies */
  source: string;
}
