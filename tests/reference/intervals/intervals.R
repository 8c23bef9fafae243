# Wald intervals of covariance parameters by nlme: Rscript intervals.R  ->  intervals.json
# Values are lower, est., upper of intervals(), under the names of our tables. nlme differentiates its
# log-likelihood by one-sided differences, good to two or three digits; here numDeriv does it (Richardson
# extrapolation), so that everything else is nlme's. A fit is left out where intervals() fails.
suppressMessages({library(nlme); library(numDeriv)})
fine <- function(pars, fun, ..., .relStep, minAbsPar) {
  own <- function(p) fun(p, ...)
  list(mean = own(pars), gradient = grad(own, pars), Hessian = hessian(own, pars))
}
environment(fine) <- list2env(list(grad = numDeriv::grad, hessian = numDeriv::hessian), parent = asNamespace("nlme"))
assignInNamespace("fdHess", fine, "nlme")
setwd("../structures"); source("frames.R"); setwd("../intervals")
frame <- local({ own <- frame; function(name) { old <- setwd("../structures"); on.exit(setwd(old)); own(name) } })

out <- list()
ctl <- lmeControl(opt = "optim", maxIter = 500, msMaxIter = 500, niterEM = 50, tolerance = 1e-10, msTol = 1e-12, reltol = 1e-14)
gctl <- glsControl(opt = "optim", maxIter = 500, msMaxIter = 500, tolerance = 1e-10, msTol = 1e-12)
as_rows <- function(x, names) {
  x <- as.matrix(x); stopifnot(nrow(x) == length(names))
  setNames(lapply(seq_len(nrow(x)), function(i) as.numeric(x[i, c("lower", "est.", "upper")])), names)
}
keep <- function(id, fit, data, formula, residual = NULL, variance = NULL, random = NULL, corr = NULL,
                 ratio = NULL) {
  i <- try(intervals(fit, which = "var-cov"), silent = TRUE)
  if (inherits(i, "try-error")) { message(id, ": ", i); return(invisible()) }
  rows <- c(if (!is.null(random)) as_rows(i$reStruct[[1]], random),
            if (!is.null(corr)) as_rows(i$corStruct, corr),
            if (!is.null(ratio)) as_rows(i$varStruct, ratio))
  s <- i$sigma
  rows$sigma <- as.numeric(s[c("lower", "est.", "upper")])
  out[[id]] <<- list(dataset = data, formula = formula, residual = residual, variance = variance,
                     reml = fit$method == "REML", intervals = rows)
}
for (method in c("REML", "ML")) {
  id <- function(x) paste0(x, if (method == "REML") "_reml" else "_ml")
  for (name in c("orthodont", "orthodont_gaps")) {
    d <- frame(name); d <- d[order(d$Sex, d$Subject, d$visit), ]  # varIdent refers to the first stratum it meets
    f <- "distance ~ age * Sex"
    g <- function(...) gls(distance ~ age * Sex, d, method = method, control = gctl, ...)
    l <- function(...) lme(distance ~ age * Sex, d, method = method, control = ctl, ...)
    keep(id(paste0(name, "_cs")), g(correlation = corCompSymm(form = ~ 1 | Subject)), name, f,
         "cs(1 | Subject)", corr = "rho")
    keep(id(paste0(name, "_ar1")), g(correlation = corAR1(form = ~ visit | Subject)), name, f,
         "ar1(visit | Subject)", corr = "rho")
    keep(id(paste0(name, "_ident")), g(weights = varIdent(form = ~ 1 | Sex)), name, f,
         variance = "ident(Sex)", ratio = "ratio_Male")
    # with gaps the limits of `us` span five decades, too flat for an optimum good to 1e-5
    if (name == "orthodont") keep(id(paste0(name, "_us")), l(random = ~ age | Subject), name,
         paste(f, "+ (age | Subject)"),
         random = c("sd_Intercept|Subject", "sd_age|Subject", "cor_age.Intercept|Subject"))
    keep(id(paste0(name, "_intercept_ident")), l(random = ~ 1 | Subject, weights = varIdent(form = ~ 1 | Sex)),
         name, paste(f, "+ (1 | Subject)"), variance = "ident(Sex)", random = "sd_Intercept|Subject",
         ratio = "ratio_Male")
  }
  d <- frame("bodyweight"); f <- "weight ~ Time * Diet"
  l <- function(...) lme(weight ~ Time * Diet, d, method = method, control = ctl, ...)
  keep(id("bodyweight_power"), l(random = ~ Time | Rat, weights = varPower(form = ~ Time)), "bodyweight",
       paste(f, "+ (Time | Rat)"), variance = "power(Time)",
       random = c("sd_Intercept|Rat", "sd_Time|Rat", "cor_Time.Intercept|Rat"), ratio = "power")
  keep(id("bodyweight_car1"), l(random = ~ Time | Rat, correlation = corCAR1(form = ~ Time | Rat)), "bodyweight",
       paste(f, "+ (Time | Rat)"), "car1(Time | Rat)",
       random = c("sd_Intercept|Rat", "sd_Time|Rat", "cor_Time.Intercept|Rat"), corr = "rho")
  d <- frame("dialyzer")
  f <- "rate ~ (pressure + I(pressure^2)) * QB"
  g <- function(...) gls(rate ~ (pressure + I(pressure^2)) * QB, d, method = method, control = gctl, ...)
  keep(id("dialyzer_power"), g(weights = varPower(form = ~ pressure)), "dialyzer", f,
       variance = "power(pressure)", ratio = "power")
  keep(id("dialyzer_exp_ar1"), g(weights = varExp(form = ~ pressure), correlation = corAR1(form = ~ index | Subject)),
       "dialyzer", f, "ar1(index | Subject)", "exp(pressure)", corr = "rho", ratio = "expon")
  d <- frame("orthodont")
  keep(id("orthodont_symm"), gls(distance ~ age * Sex, d, method = method, control = gctl,
       correlation = corSymm(form = ~ visit | Subject)), "orthodont", "distance ~ age * Sex",
       "homus(visit | Subject)", corr = c("cor_2.1", "cor_3.1", "cor_4.1", "cor_3.2", "cor_4.2", "cor_4.3"))
}
save_json(list(versions = versions("nlme"), fits = out), "intervals.json")
