export { default } from "../../cookie-ab-split/rule.ts";
