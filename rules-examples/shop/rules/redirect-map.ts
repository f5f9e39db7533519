export { default } from "../../redirect-map/rule.ts";
