// Rules as somebody may write them in good faith, which take as long as a caller wants them to.

const METADATA = (reason: string) => `# METADATA
# title: ${reason}
# description: A rule for a test.
# custom:
#   reason: ${reason}
#   controls: [C02]
`;
const finding = (code: string) => `{"grade": "deny", "reason": {"code": "${code}", "params": {}}, "obligations": []}`;

/** Looks for a text in another for minutes, in no more memory than a policy has. */
const SEARCH = `	each := numbers.range(1, 20000)
	long := concat("", ["a" | some _ in each])
	searched := concat("", [substring(long, 0, 10000), "b"])
	some _ in each
	contains(long, searched)
`;

/** Compares each part of "note" with each: 200 KB take minutes. Only where the item is "report", which no growing text shows. */
export const QUADRATIC = `package site.repeats

${METADATA('repeats.found')}findings contains ${finding('repeats.found')} if {
	input.tool.arguments.sku == "report"
	words := split(input.tool.arguments.note, "---")
	pairs := [1 | some a in words; some b in words; a == b; a == "never"]
	count(pairs) > 0
}
`;

/**
 * Looks for a text in another for minutes, whatever the size of the input, where the item is "endless". It takes no memory,
 * of which a policy has only so much that it would end by that.
 */
export const ENDLESS = `package site.endless

${METADATA('endless.found')}findings contains ${finding('endless.found')} if {
	input.tool.arguments.sku == "endless"
${SEARCH}}
`;

/** Does the same with every call. */
export const HEAVY = `package site.heavy

${METADATA('heavy.found')}findings contains ${finding('heavy.found')} if {
${SEARCH}}
`;

/** Needs more memory than a policy has, for each call. */
export const GREEDY = `package site.greedy

${METADATA('greedy.found')}findings contains ${finding('greedy.found')} if {
	some a in numbers.range(1, 3000)
	some b in numbers.range(1, 3000)
	a + b == 0
}
`;

/** A tool of the demo gets a text of any length besides its item. */
export const withNote = (yaml: string): string =>
  yaml.replace(
    'sku: { type: string, minLength: 1, maxLength: 40 }\n',
    'sku: { type: string, minLength: 1, maxLength: 40 }\n        note: { type: string }\n',
  );
