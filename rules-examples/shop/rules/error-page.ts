export { default } from "../../error-page/rule.ts";
