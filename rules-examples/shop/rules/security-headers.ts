export { default } from "../../security-headers/rule.ts";
