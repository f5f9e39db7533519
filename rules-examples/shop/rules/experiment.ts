export { default } from "../../experiment/rule.ts";
