export { default } from "../../path-rewrite/rule.ts";
