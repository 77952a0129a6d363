// What the panels' pages ask and are told. Written by
// `pytest tests/typing/test_messages.py --refresh` from lyncnb/widgets/editing/messages.py,
// lyncnb/widgets/messages.py and the arguments of what answers each message.

type EditorTold =
  | EditorStart
  | TableRows
  | Columns
  | Form
  | Options
  | EditorState
  | Checked
  | Done
  | Refused
  | RefusedCells
  | Chosen
  | Code
  | Saved
  | Restored
  | UnsavedDraft
  | DraftChanges
  | Older
  | Explanation
  | EditorFindings
  | Changes
  | Names
  | Certificates
  | Picture
  | Reasons
  | ScenarioList
  | ScenarioDone
  | Compared
  | ScenarioPicture;

type EditorAsked = { cell?: CellName } & (
  | { type: "explain"; ids: number[]; total: number }
  | { type: "findings" }
  | { type: "names"; search: string }
  | { type: "certificates" }
  | { type: "picture"; shows: string; site: string }
  | { type: "changes" }
  | { type: "edit"; ids: number[]; column: string; value: string }
  | { type: "block"; cells: BlockText[]; add?: BlockRow[]; said?: string }
  | { type: "leave_pool"; ids: number[]; column: string; value: string }
  | { type: "new_pool"; ids: number[]; pool: string }
  | { type: "duplicate"; ids: number[] }
  | { type: "add"; values: Record<string, string> }
  | { type: "remove"; ids: number[] }
  | { type: "option"; name: string; value: string; key?: string | null }
  | { type: "undo" }
  | { type: "redo" }
  | { type: "reset" }
  | { type: "ready" }
  | { type: "set_up"; id: string; is_chosen: boolean }
  | { type: "mend"; code: string }
  | { type: "why"; name: string }
  | { type: "pools"; pools: string[] }
  | { type: "code" }
  | { type: "save"; path: string; overwrite: boolean }
  | { type: "open"; path: string }
  | { type: "draft_restore" }
  | { type: "draft_compare" }
  | { type: "draft_discard" }
  | { type: "scenarios" }
  | { type: "compare_scenarios"; names: string[] }
  | { type: "picture_scenario"; place: number }
  | { type: "keep_scenario"; name: string; note?: string | null; replace?: boolean }
  | { type: "open_scenario"; name: string }
  | { type: "copy_scenario"; name: string }
  | { type: "change_scenario"; name: string; new: string; note: string }
  | { type: "remove_scenario"; name: string }
  | { type: "put_scenario_back" }
);

type RequestTold =
  | RequestStart
  | RequestFindings
  | Look
  | JobProgress
  | RequestResult
  | Recovery
  | Scripts
  | Changed
  | Reasons
  | Refused
  | Done;

type RequestAsked = { cell?: CellName } & (
  | { type: "ready" }
  | { type: "look" }
  | { type: "option"; name: string; key: string; value: string }
  | { type: "write"; passphrase: string; again: string; replaces?: boolean }
  | { type: "scripts"; computer: string; template: string }
  | { type: "recovery"; file: string }
  | { type: "why"; name: string }
  | { type: "cancel" }
);

type StatusTold =
  | StatusStart
  | TableRows
  | Status
  | JobProgress
  | StepResult
  | Password
  | Changed
  | Reasons
  | Refused;

type StatusAsked = { cell?: CellName } & (
  | { type: "ready" }
  | { type: "look" }
  | { type: "handover"; out: string; issuer: string; requests: string[] }
  | { type: "receive"; paths: string }
  | { type: "accept"; id: string; code: string; reason: string }
  | { type: "package"; passphrase: string; target_os: string }
  | { type: "password"; id: string; passphrase: string }
  | { type: "steps"; effective: string }
  | { type: "deployed"; requests: string[]; on: string }
  | { type: "renew"; requests: string[]; reason: string; passphrase: string }
  | { type: "why"; name: string }
);

type GuideTold =
  | GuideStart
  | Asked
  | Written
  | Refused;

type GuideAsked = { cell?: CellName } & (
  | { type: "ready" }
  | { type: "answer"; site: string; key: string; text: string }
  | { type: "write"; folder: string; force: boolean }
);

type TableTold =
  | TableStart
  | Opened
  | Refused;

type TableAsked = { cell?: CellName } & (
  | { type: "ready" }
  | { type: "open"; path: string; pasted: string; folder: string }
  | { type: "ask"; folder: string }
);

interface EditorStart {
  type: "start";
  source: string;
  columns: ColumnFacts[];
  groups: FieldGroup[];
  help: string[][];
}

interface ColumnFacts {
  name: string;
  title: string;
  least: number;
  share: number;
  scope?: string;
  help?: string;
  choices?: string[][];
  list?: boolean;
  strict?: boolean;
  required?: boolean;
  fallback?: string;
  editable?: boolean;
  shown?: boolean;
  always?: boolean;
  add?: boolean;
  search?: boolean;
}

interface FieldGroup {
  title: string;
  help?: string;
  fields?: FieldFacts[];
  by_usage?: UsageTable;
}

interface FieldFacts {
  name: string;
  label: string;
  kind: string;
  help: string;
  choices: string[][];
}

interface UsageTable {
  caption: string;
  rows: UsageRow[];
  options: UsageOption[];
}

interface UsageRow {
  key: string;
  label: string;
  note?: string;
  without?: string[];
}

interface UsageOption {
  name: string;
  label: string;
  choices?: string[][];
}

interface TableRows {
  type: "rows";
  all: boolean;
  total?: number;
  columns: RowsColumn[];
}

interface RowsColumn {
  name: string;
  width: number;
}

interface Columns {
  type: "columns";
  columns: ColumnFacts[];
}

interface Form {
  type: "form";
  groups: FieldGroup[];
}

interface Options {
  type: "options";
  values: Record<string, unknown>;
  odd: Record<string, string>;
}

interface EditorState {
  type: "state";
  counts: Record<string, number>;
  before: Record<string, number>;
  said: string;
  done: string;
  undo: string;
  redo: string;
  changes: number;
  saved_words: string;
}

interface Checked {
  type: "checked";
  counts: Record<string, number>;
}

interface Done {
  type: "done";
  added: number[];
}

interface Refused {
  type: "refused";
  about: string;
  lines: string[];
  cell: [number, string] | null;
  occupied: boolean;
  offer: string;
  instead: string;
}

interface RefusedCells {
  type: "refused_cells";
  cells: RefusedCell[];
  lines: string[];
}

interface RefusedCell {
  cell: [number, string];
  text: string;
  lines: string[];
}

interface Chosen {
  type: "chosen";
  ids: number[];
}

interface Code {
  type: "code";
  code: string;
  path: string;
  options: string;
  is_written: boolean;
  files: string[];
}

interface Saved {
  type: "saved";
  text: string;
  hint: string;
  line: string;
}

interface Restored {
  type: "restored";
  lines: string[];
}

interface UnsavedDraft {
  type: "draft";
  words: string;
}

interface DraftChanges {
  type: "draft_changes";
  title: string;
  headings: string[];
  rows: string[][];
  note: string;
}

interface Older {
  type: "older";
  cells: number[];
}

interface Explanation {
  type: "explain";
  title: string;
  note: string;
  certificates: ServerCertificate[];
  findings: ServerFinding[];
}

interface ServerCertificate {
  id: string;
  title: string;
  owner: string;
  subject: string;
  key: string;
  issuer: string;
  shared: string;
  names: ServerName[];
}

interface ServerName {
  name: string;
  place: string;
  why: string;
  source: string;
}

interface ServerFinding {
  severity: string;
  message: string;
  hint: string;
}

interface EditorFindings {
  type: "findings";
  groups: FindingGroup[];
}

interface FindingGroup {
  code: string;
  severity: string;
  title: string;
  subject: string;
  meaning: string;
  hint: string;
  source: string;
  accepted: string;
  limits: string;
  over: boolean;
  count: number;
  open: number;
  mendable: number;
  items: FindingItem[];
}

interface FindingItem {
  about: string;
  message: string;
  names: string[];
  row: number | null;
  column: string;
  heading: string;
}

interface Changes {
  type: "changes";
  title: string;
  headings: string[];
  rows: string[][];
  note: string;
  effects: Effects;
}

interface Effects {
  words: string;
  title: string;
  headings: string[];
  rows: string[][];
  note: string;
}

interface Names {
  type: "names";
  search: string;
  total: number;
  found: number;
  names: NameEntry[];
}

interface NameEntry {
  name: string;
  uses: NameUse[];
  more: number;
}

interface NameUse {
  certificate: string;
  owner: string;
  issuer: string;
  place: string;
  why: string;
  source: string;
  rows: number[];
}

interface Certificates {
  type: "certificates";
  groups: PlannedGroup[];
  total: number;
  shown: number;
}

interface PlannedGroup {
  id: string;
  title: string;
  owner: string;
  issuer: string;
  key: string;
  subject: string;
  names: string[];
  own: string[];
  servers: string[];
  count: number;
  at_set_up: boolean;
  rows: number[];
}

interface Picture {
  type: "picture";
  kind: string;
  site: string;
  kinds: string[][];
  sites: string[];
  title: string;
  words: string;
  svg: string;
  headings: string[];
  rows: string[][];
  total: number;
}

interface Reasons {
  type: "reasons";
  title: string;
  note: string;
  reasons: RuleReason[];
}

interface RuleReason {
  rule: string;
  names: string[];
  facts: ReasonFact[];
  places: string[];
  servers: string;
}

interface ReasonFact {
  heading: string;
  says: string;
  source: string;
}

interface ScenarioList {
  type: "scenarios";
  folder: string;
  now: string;
  current: string;
  changed: boolean;
  rows: KeptScenario[];
  removed: string;
  most: number;
  old: boolean;
}

interface KeptScenario {
  name: string;
  note: string;
}

interface ScenarioDone {
  type: "scenario_done";
  about: string;
  said: string;
}

interface Compared {
  type: "compared";
  title: string;
  headings: string[];
  differing: string[][];
  alike: string[][];
  differences: ScenarioDifference[];
}

interface ScenarioDifference {
  heading: string;
  words: string;
  title: string;
  headings: string[];
  rows: string[][];
  note: string;
}

interface ScenarioPicture {
  type: "picture_of_scenario";
  place: number;
  title: string;
  words: string;
  svg: string;
}

interface BlockText {
  row: number;
  column: string;
  text: string;
}

interface BlockRow {
  values: Record<string, string>;
}

interface RequestStart {
  type: "start";
  folder: string;
  help: string[][];
}

interface RequestFindings {
  type: "findings";
  groups: FindingGroup[];
  open: string[];
}

interface Look {
  type: "look";
  is_new: boolean;
  other: string;
  consent: string;
  ready: boolean;
  plan: string;
  label: string;
  words: string;
  rows: string[][];
  notes: string[];
}

interface JobProgress {
  type: "job";
  state: string;
  busy: boolean;
  done: number;
  total: number;
  words: string;
}

interface RequestResult {
  type: "result";
  words: string;
  notes: string[];
  cancelled: boolean;
}

interface Recovery {
  type: "recovery";
  fingerprints: string[];
}

interface Scripts {
  type: "scripts";
  words: string;
  notes: string[];
}

interface Changed {
  type: "changed";
  words: string;
}

interface StatusStart {
  type: "start";
  folder: string;
  columns: ColumnFacts[];
  systems: string[];
  help: string[][];
  returned: string;
  out: string;
}

interface Status {
  type: "status";
  today: string;
  counts: Record<string, number>;
  problems: string[];
  notes: string[];
  behind: string;
  packaged: string[];
  next: NextStep;
  refusals: Refusal[];
  more_refusals: number;
}

interface NextStep {
  words: string;
  step: string;
  label: string;
  requests: string[];
}

interface Refusal {
  id: string;
  words: string;
  file: string;
  serial: string;
  earlier: number;
  reasons: RefusedReason[];
}

interface RefusedReason {
  code: string;
  title: string;
  message: string;
  hint: string;
  acceptable: boolean;
}

interface StepResult {
  type: "result";
  words: string;
  headings: string[];
  rows: string[][];
}

interface Password {
  type: "password";
  file: string;
}

interface GuideStart {
  type: "start";
  folder: string;
  left_out: string[][];
  help: string[][];
}

interface Asked {
  type: "asked";
  fields: GuideField[];
  problems: GuideProblem[];
  words: string;
  svg: string;
  lines: string[];
  headings: string[];
  rows: string[][];
  count: number;
  python: string;
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
  missing: boolean;
  problem: string;
  hint: string;
}

interface GuideProblem {
  words: string;
  site: string;
  key: string;
}

interface Written {
  type: "written";
  words: string;
  python: string;
}

interface TableStart {
  type: "start";
  files: string[];
  folder: string;
}

interface Opened {
  type: "opened";
  words: string;
}
