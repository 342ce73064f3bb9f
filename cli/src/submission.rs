//! From a job file to a submission: its request and its terms.

use framefleet_coordinator::inbox::{Asker, Origin, Submission, Wanted};
use framefleet_coordinator::ops::http::Wish;
use framefleet_model::fault::Fault;
use framefleet_model::pipeline::OnExisting;
use framefleet_model::terms::Terms;
use framefleet_model::trigger::through::Through;

use crate::asked::Asked;
use crate::asked::by_pipeline::{self, ByPipeline};
use crate::config::pipelines::Rules;
use crate::jobfile;
use crate::location::Reach;
use crate::request::{Checked, check};
use crate::settings::refused;

/// What came over the network; pipelines, and whom steps speak to, are those alone that have a name here.
pub fn read(bytes: &[u8], rules: &Rules) -> Result<Wish, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|e| refused(format!("job file: {e}")))?;
    let asked = jobfile::parse(text).map_err(|why| refused(format!("job file: {why}")))?;
    let (wanted, terms) = match &asked.pipeline {
        Some(name) => through((&asked, name), rules)?,
        None => {
            let Checked { request, terms, .. } = check(&asked, (OnExisting::Fail, Reach::Elsewhere))?;
            rules.names().know(&request.steps)?;
            (Wanted::Outputs(request), terms)
        }
    };
    let tenant = asked.terms.tenant.is_some().then(|| terms.tenant.clone());
    let submission = Submission { wanted, terms, key: None, origin: Origin::Caller, cause: None, asked: Asker::Unsaid };
    Ok(Wish { submission, tenant })
}

fn through((asked, name): (&Asked, &str), rules: &Rules) -> Result<(Wanted, Terms), Fault> {
    let ByPipeline { source, into, on_existing, terms } = by_pipeline::check((asked, name), Reach::Elsewhere)?;
    let (pipeline, key) = (rules.pipeline(name)?, source.key());
    let through = Through { pipeline, source: source.url(), key, into, on_existing };
    Ok((Wanted::Pipeline(through), terms))
}

#[cfg(test)]
mod tests {
    use framefleet_model::terms::Priority;

    use super::*;

    #[test]
    fn a_job_file_from_elsewhere_names_urls_and_may_have_terms() {
        let Wish { submission, tenant } = read(
            b"version: 1\nsource: s3://in/a.mov\noutputs: [{ to: 's3://out/{stem}.mp4' }]\ntenant: news\ndeadline: 2h\n",
            &Rules::default(),
        )
        .unwrap();
        let Wanted::Outputs(request) = &submission.wanted else { panic!("{submission:?}") };
        assert_eq!(request.outputs[0].to, "s3://out/a.mp4");
        assert_eq!(tenant, Some(submission.terms.tenant.clone()));
        let nobodys = b"version: 1\nsource: s3://in/a.mov\noutputs: [{ to: 's3://out/b.mp4' }]\n";
        let nobodys = read(nobodys, &Rules::default()).unwrap();
        assert_eq!(nobodys.tenant, None);
        assert_eq!(submission.terms.deadline_ms, Some(7_200_000));
        assert_eq!((submission.terms.tenant.as_str(), submission.terms.priority), ("news", Priority::Normal));
        let refused = |text: &str| read(text.as_bytes(), &Rules::default()).unwrap_err().message;
        assert!(refused("version: 1\nsource: a.mov\noutputs: [{ to: b.mp4 }]\n").contains("is no URL"));
        let late = refused("version: 1\nsource: s3://in/a.mov\noutputs: [{ to: s3://out/b.mp4 }]\ndeadline: 0s\n");
        assert!(late.contains("deadline"), "{late}");
    }
}
