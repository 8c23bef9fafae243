# R's side of benchmarks/inference_speed.py: Rscript inference_speed.R ITEM REPETITIONS OUT
# Writes times and answers as JSON; seeded; packages are loaded outside the clock.

suppressPackageStartupMessages({
  library(lme4)
  library(jsonlite)
})
options(warn = -1)

formulas <- list(
  sleepstudy = Reaction ~ Days + (Days | Subject),
  penicillin = diameter ~ 1 + (1 | plate) + (1 | sample)
)
frames <- list(sleepstudy = sleepstudy, penicillin = Penicillin)

seconds <- function(expression) {
  invisible(gc())
  unname(system.time(expression, gcFirst = FALSE)["elapsed"])
}

repeated <- function(n, call) {
  vapply(seq_len(n), function(i) seconds(call()), 0)
}

# Criteria of 20 simulated responses come from new fits: refit() of a REML fit optimises another
# criterion in some versions.
bootstrap <- function(name, n) {
  data <- frames[[name]]
  formula <- formulas[[name]]
  fit <- lmer(formula, data)
  responses <- simulate(fit, nsim = 20, seed = 1)
  criteria <- vapply(responses, function(y) {
    data[[all.vars(formula)[1]]] <- y
    REMLcrit(suppressMessages(lmer(formula, data)))
  }, 0)
  statistic <- function(m) c(fixef(m), sigma(m))
  bootMer(fit, statistic, nsim = 2, seed = 1)
  elapsed <- seconds(boot <- suppressMessages(bootMer(fit, statistic, nsim = n, seed = 1)))
  list(
    seconds = elapsed, replicates = n, failed = sum(is.na(boot$t[, 1])),
    sd = unname(apply(boot$t, 2, sd, na.rm = TRUE)),
    responses = unname(as.list(responses)), criteria = unname(criteria)
  )
}

profile_intervals <- function(n) {
  fit <- lmer(formulas$sleepstudy, sleepstudy)
  limits <- NULL
  call <- function() limits <<- confint(fit, quiet = TRUE)
  list(seconds = repeated(n, call), limits = unname(limits), names = rownames(limits))
}

satterthwaite <- function(n) {
  suppressPackageStartupMessages(library(lmerTest))
  call <- function() summary(lmerTest::lmer(formulas$sleepstudy, sleepstudy))
  fit <- lmerTest::lmer(formulas$sleepstudy, sleepstudy)
  again <- function() summary(fit)
  table <- coef(call())
  list(seconds = repeated(n, call), alone = repeated(n, again), table = unname(table))
}

influence_rows <- function(n) {
  fit <- lmer(formulas$sleepstudy, sleepstudy)
  call <- function() list(hatvalues(fit), cooks.distance(fit))
  found <- call()
  list(seconds = repeated(n, call), hat = unname(found[[1]]), cook = unname(found[[2]]))
}

arguments <- commandArgs(trailingOnly = TRUE)
n <- as.integer(arguments[2])
answer <- switch(arguments[1],
  bootstrap_sleepstudy = bootstrap("sleepstudy", n),
  bootstrap_penicillin = bootstrap("penicillin", n),
  profile = profile_intervals(n),
  summary = satterthwaite(n),
  influence = influence_rows(n)
)
versions <- c(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")))
if ("lmerTest" %in% loadedNamespaces()) {
  versions <- c(versions, lmerTest = as.character(packageVersion("lmerTest")))
}
answer$versions <- as.list(versions)
write(toJSON(answer, auto_unbox = TRUE, digits = NA), arguments[3])
