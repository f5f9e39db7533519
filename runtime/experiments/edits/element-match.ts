/** Does an element fit a compound selector? Asked with its start tag alone. */
import { AttributeAction } from "css-what";
import { type Charset, comparedText } from "./charset.ts";
import { asciiLower, type AttributeTest, type Compound, type NthTest } from "./selector.ts";
import type { StartTag } from "./start-tag.ts";

export function fits(compound: Compound, tag: StartTag, charset: Charset): boolean {
  if (compound.tag !== "" && compound.tag !== tag.name) return false;
  for (const nth of compound.nth) if (!isNth(nth, tag.place)) return false;
  for (const test of compound.attributes) if (!holds(test, tag.value(test.name), charset)) return false;
  for (const excluded of compound.not) if (fits(excluded, tag, charset)) return false;
  return true;
}

/** Is there an n ≥ 0 with step × n + offset = place? */
function isNth({ step, offset }: NthTest, place: number): boolean {
  const distance = place - offset;
  if (step === 0) return distance === 0;
  return distance % step === 0 && distance / step >= 0;
}

const SPACES = /[\t\n\f\r ]+/;
const BLANK = /[\t\n\f\r ]/;

function holds(test: AttributeTest, found: string | null, charset: Charset): boolean {
  const { operator } = test;
  const wanted = comparedText(test.value, charset);
  if (operator === AttributeAction.Not) return found === null || cased(found, test) !== wanted;
  if (found === null) return false;
  const value = cased(found, test);
  switch (operator) {
    case AttributeAction.Exists:
      return true;
    case AttributeAction.Equals:
      return value === wanted;
    case AttributeAction.Element:
      return wanted !== "" && !BLANK.test(wanted) && (value === wanted || (value.includes(wanted) && value.split(SPACES).includes(wanted)));
    case AttributeAction.Hyphen:
      return value === wanted || value.startsWith(`${wanted}-`);
    // With an empty value these three match nothing (Selectors, section 6.2).
    case AttributeAction.Start:
      return wanted !== "" && value.startsWith(wanted);
    case AttributeAction.End:
      return wanted !== "" && value.endsWith(wanted);
    case AttributeAction.Any:
      return wanted !== "" && value.includes(wanted);
  }
}

function cased(value: string, test: AttributeTest): string {
  return test.ignoreCase ? asciiLower(value) : value;
}
