// A rule of a site without a mistake, with the case that makes it fire. The mistakes are changes to these.
export const METADATA = `# METADATA
# title: No writes at night
# description: Nobody works at night, so a write then is somebody else's.
# custom:
#   reason: night.closed
#   controls: [ISO27001-A.8.15]
`;
export const RULE = `package site.night

${METADATA}findings contains {
	"grade": "deny",
	"reason": {"code": "night.closed", "params": {"hour": input.time.hour}},
	"obligations": [{"type": "alert", "severity": "high"}],
} if {
	input.tool.effect == "write"
	input.time.hour < 6
}
`;
export const CASES = `cases:
  - name: a write at night is denied
    base: clerk_in_session
    input: { time: { hour: 3 }, tool: { name: stock_adjust, effect: write } }
    expect: { outcome: deny, reasons: [night.closed] }
`;
/** Files of a policy folder. */
export type Files = Record<string, string | ((original: string) => string)>;

/** The rule with one thing changed. */
export const changed = (from: string | RegExp, to: string): Files => {
  const rule = RULE.replace(from, to);
  if (rule === RULE) throw new Error(`nothing to change: ${from}`);
  return { 'site/night.rego': rule };
};

/** Files that make the mistake, and what the gate says of which file; that of the rule unless it is named. */
export interface Mistake {
  files: Files;
  message: RegExp;
  file?: string;
}
