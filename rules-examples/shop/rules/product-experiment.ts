export { default } from "../../product-experiment/rule.ts";
