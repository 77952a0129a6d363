// What the panels' scripts hand to each other and what the kernel says. Read by editors and by tsc,
// never by a browser.

type Kid = Node | string | number | null | undefined | false;
type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;
type Send = (message: { type: string; [part: string]: unknown }) => void;
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
  head?: HTMLElement;
  words?: HTMLElement;
}

// -- from the kernel

/** A message of the kernel; whoever answers it names its parts. */
type Answers = Record<string, (message: any, buffers: DataView[]) => unknown>;

interface Model {
  on(event: string, listen: (message: any, buffers: DataView[]) => void): void;
  off(event: string, listen: (message: any, buffers: DataView[]) => void): void;
  send(message: unknown): void;
}

interface Host {
  model: Model;
  el: HTMLElement;
}

interface ColumnFacts {
  name: string;
  title: string;
  width?: number;
  least?: number;
  share?: number;
  help?: string;
  scope?: string;
  editable?: boolean;
  strict?: boolean;
  list?: boolean;
  required?: boolean;
  choices?: string[][];
  fallback?: string;
  shown?: boolean;
  always?: boolean;
  add?: boolean;
  search?: boolean;
}

interface RowsMessage {
  all: boolean;
  /** of all rows, where these are only the first of them */
  total?: number;
  columns: { name: string; width: number }[];
}

type CellName = [id: number, column: string];

interface Refused {
  about: string;
  lines: string[];
  cell?: CellName | null;
  occupied?: boolean;
  offer?: string;
  /** a name in place of the one that was refused */
  instead?: string;
}

interface FindingItem {
  about: string;
  message: string;
  /** of certificates, that stand in the message */
  names: string[];
  row: number | null;
  column: string;
  heading: string;
}

interface FindingGroup {
  code: string;
  severity: string;
  title: string;
  /** under which several codes are one entry; "" for none */
  subject: string;
  meaning: string;
  hint: string;
  source: string;
  accepted: string;
  limits: string;
  /** whether its last day has passed */
  over: boolean;
  count: number;
  /** of them those that nobody accepts */
  open: number;
  mendable: number;
  items: FindingItem[];
}

interface NameReason {
  name: string;
  place: string;
  why: string;
  source: string;
}

interface ServerCertificate {
  id: string;
  title: string;
  owner: string;
  subject: string;
  key: string;
  issuer: string;
  shared: string;
  names: NameReason[];
}

interface Explanation {
  title: string;
  note: string;
  certificates: ServerCertificate[];
  findings: { severity: string; message: string; hint: string }[];
}

interface FieldFacts {
  name: string;
  label: string;
  kind: string;
  help: string;
  choices: Choice[];
}

interface UsageTable {
  caption: string;
  rows: { key: string; label: string; note?: string; without?: string[] }[];
  options: { name: string; label: string; choices?: Choice[] }[];
}

interface FieldGroup {
  title: string;
  help?: string;
  fields?: FieldFacts[];
  by_usage?: UsageTable;
}

type Counts = Record<string, number>;

interface StateMessage {
  counts: Counts;
  before: Counts;
  /** what was taken back or made again */
  said: string;
  /** what was done, and what it did to the plan */
  done: string;
  undo: string;
  redo: string;
  changes: number;
  saved_words: string;
}

interface ListMessage {
  title: string;
  headings: string[];
  rows: string[][];
  note: string;
}

interface GuideField {
  site: string;
  key: string;
  group: string;
  label: string;
  help: string;
  kind: string;
  choices: string[][];
  default: string;
  text: string;
  least: number;
  problem: string;
  hint: string;
}

interface GuideMessage {
  fields: GuideField[];
  problems: string[];
  words: string;
  lines: string[];
  headings: string[];
  rows: string[][];
  count: number;
  python: string;
}

// -- between the scripts

interface SortKey {
  name: string;
  descending: boolean;
}

/** A word of the filter: in which columns it is looked for, and whether it must be missing. */
interface FilterTerm {
  text: string;
  names: string[];
  negated: boolean;
  exact: boolean;
}

/** What is pasted, cleared or filled: texts for cells that are there, and rows to add. */
interface Block {
  cells: { row: number; column: string; text: string }[];
  add: { values: Record<string, string> }[];
  said: string;
}

interface GridWishes {
  edit?: (id: number, column: string, text: string) => void;
  block?: (block: Block) => void;
  offer?: (offer: string, cell: CellName, text: string) => void;
  moved?: () => void;
  ticked: () => void;
  /** a cell that cannot be changed is pressed again, or Enter in it */
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
}
