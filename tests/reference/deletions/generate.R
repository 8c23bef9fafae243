# Single-term deletions: lme4's drop1 (likelihood-ratio tests) and lmerTest's ranova.
# Run in this folder: Rscript generate.R
suppressMessages({library(lmerTest); library(jsonlite)})
options(digits = 15)
d <- read.csv("../anova_terms/data.csv", stringsAsFactors = TRUE)
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-10, maxfun = 1e6),
  calc.derivs = FALSE)

fixed <- list(
  interaction = y ~ a * b + c + x + (1 | g),
  no_intercept = y ~ 0 + a + b + x + (1 | g),
  no_intercept_numeric = y ~ 0 + x + z + (1 | g),
  slopes = y ~ a * x + b + z + (x | g),
  polynomial = y ~ poly(x, 2) * b + c + (1 | g),
  aliased = y ~ a + x + I(2 * x) + (1 | g),
  three_way = y ~ a * b * c + (1 | g)
)
random <- list(
  two_factors = y ~ a + x + (0 + a + b | g),
  factor_and_numeric = y ~ a + x + (b + x | g),
  interaction = y ~ a + x + (b * x | g),
  double_bar_factor = y ~ a + x + (a || g),
  intercept_elsewhere = y ~ a + x + (1 | g) + (0 + x | g) + (1 | g:b),
  repeated_group = y ~ a + x + (x | g) + (0 + z | g)
)

drops <- lapply(fixed, function(f) {
  m <- suppressMessages(lmer(f, d, control = tight))
  t <- suppressMessages(lme4:::drop1.merMod(m, test = "Chisq"))
  list(formula = deparse(f), rows = rownames(t), df = t$npar, AIC = t$AIC, LRT = t$LRT,
    p = t[["Pr(Chi)"]])
})
reductions <- lapply(random, function(f) {
  out <- list(formula = deparse(f))
  for (criterion in c(TRUE, FALSE)) for (reduce in c(TRUE, FALSE)) {
    reml <<- criterion  # update() looks for it in the global environment
    m <- suppressMessages(lmer(f, d, REML = reml, control = tight))
    t <- suppressMessages(ranova(m, reduce.terms = reduce))
    out[[paste0(if (reml) "REML" else "ML", if (reduce) "" else "_whole")]] <- list(
      rows = rownames(t), npar = t$npar, logLik = t$logLik, LRT = t$LRT, df = t$Df,
      p = t[["Pr(>Chisq)"]])
  }
  out
})
versions <- sapply(c("lme4", "lmerTest"), function(p) as.character(packageVersion(p)))
write(toJSON(list(versions = as.list(versions), drop1 = drops, ranova = reductions), digits = 15,
  auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"), "deletions.json")
